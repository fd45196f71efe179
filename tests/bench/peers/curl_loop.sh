#!/bin/bash
# A row of the file, a process of curl: bash curl_loop.sh URL FILE ROWS SECONDS
until_s=$((SECONDS + ${4%.*}))
rows=0
began=$(date +%s.%N)
while IFS=, read -r id first last email phone _; do
    body="{\"matching\":\"email\",\"email\":\"$email\",\"workflow_id\":12,\"data\":{\"email\":\"$email\",\"_fname\":\"$first\",\"_lname\":\"$last\",\"phones\":[\"$phone\"],\"crm_id\":\"$id\"}}"
    curl -sf -o /dev/null -H "Content-Type: application/json" -H "Authorization: Bearer bench" --data-binary "$body" \
        "$1/api/v1.1/workflows/import_and_start" || exit 1
    rows=$((rows + 1))
    if [ "$rows" -ge "$3" ] || [ "$SECONDS" -ge "$until_s" ]; then break; fi
done < <(tail -n +2 "$2")
ended=$(date +%s.%N)
echo "{\"rows\": $rows, \"seconds\": $(awk "BEGIN { print $ended - $began }")}"
