"""A Kubernetes CronJob, as YAML."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath

from batchrunner.cron import with_seconds
from batchrunner.errors import UsageError
from batchrunner.schedule.due import cron_of, table_of, timezone_of
from batchrunner.schedule.programs import Program

JOB = PurePosixPath("/etc/batchrunner")
STATE = PurePosixPath("/var/lib/batchrunner")

_TEMPLATE = """\
# kubectl create configmap {name} --from-file={job_file}
# kubectl create secret generic {name} --from-literal=token=...
# The claim {name} holds the ledger and the exports: one volume, one writer.
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {name}
spec:
  schedule: {cron}
  timeZone: {timezone}
  concurrencyPolicy: Forbid
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 7
  jobTemplate:
    spec:
      # What a run leaves, the next one picks up: no second pod at once.
      backoffLimit: 0{deadline}
      template:
        spec:
          restartPolicy: Never
          # A stop lets requests in flight be answered.
          terminationGracePeriodSeconds: {drain_s}
          securityContext:
            runAsNonRoot: true
            runAsUser: 10001
            fsGroup: 10001
          containers:
            - name: batchrunner
              image: {image}
              command: [batchrunner, schedule, fire, {job_path}, --ledger, {ledger}, --output, json]
              env:
                - name: ALTCRAFT_TOKEN
                  valueFrom:
                    secretKeyRef:
                      name: {name}
                      key: token
                - name: XDG_STATE_HOME
                  value: {state_home}
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities:
                  drop: [ALL]
              volumeMounts:
                - name: job
                  mountPath: {job_dir}
                  readOnly: true
                - name: state
                  mountPath: {state}
                - name: tmp
                  mountPath: /tmp
          volumes:
            - name: job
              configMap:
                name: {name}
            - name: state
              persistentVolumeClaim:
                claimName: {name}
            - name: tmp
              emptyDir: {{}}
"""


def cron_job(program: Program, image: str) -> str:
    """The CronJob of a job, its configuration and its state in volumes."""
    job, cron = program.job, cron_of(program.job)
    if with_seconds(cron.text):
        raise UsageError(f"{job.file}: a CronJob knows no seconds ({cron.text}); use 'batchrunner serve'")
    longest = table_of(job).max_duration
    # Above the job's own limit, which ends it gracefully: only for a pod that hangs.
    deadline_s = None if longest is None else round(longest.total_seconds()) + 2 * program.drain_s
    return _TEMPLATE.format(
        name=resource_name(job.name),
        job_file=json.dumps(str(job.file)),
        cron=json.dumps(cron.text),
        timezone=json.dumps(timezone_of(job) or "Etc/UTC"),
        deadline="" if deadline_s is None else f"\n      activeDeadlineSeconds: {deadline_s}",
        drain_s=program.drain_s,
        image=json.dumps(image),
        job_path=json.dumps(str(JOB / job.file.name)),
        job_dir=JOB,
        ledger=json.dumps(str(STATE / "ledger.db")),
        state=STATE,
        state_home=json.dumps(str(STATE)),
    )


def resource_name(job: str) -> str:
    """A job's name in the letters that Kubernetes takes."""
    return f"batchrunner-{re.sub(r'[^a-z0-9-]+', '-', job.lower())}"[:52].rstrip("-")
