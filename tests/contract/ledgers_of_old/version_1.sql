-- A ledger of version 1, with one run that died and left a claim open. Never edit: it is what users have.
CREATE TABLE schema_version ( version INTEGER NOT NULL );
CREATE TABLE runs ( id INTEGER NOT NULL, name VARCHAR(40) NOT NULL, job VARCHAR(80) NOT NULL, verb VARCHAR(10) NOT NULL, started_ms BIGINT NOT NULL, ended_ms BIGINT, ending VARCHAR(20), exit_code INTEGER, totals TEXT NOT NULL, mapping_id INTEGER, installation TEXT NOT NULL, run_dir TEXT, process TEXT, PRIMARY KEY (id), UNIQUE (name) );
CREATE INDEX ix_runs_job ON runs (job);
CREATE TABLE mappings ( id INTEGER NOT NULL, job VARCHAR(80) NOT NULL, text TEXT NOT NULL, retired BOOLEAN NOT NULL, PRIMARY KEY (id) );
CREATE INDEX ix_mappings_job ON mappings (job);
CREATE TABLE sources ( run_id INTEGER NOT NULL, source_no SMALLINT NOT NULL, fingerprint VARCHAR(32) NOT NULL, path TEXT NOT NULL, size_bytes BIGINT NOT NULL, PRIMARY KEY (run_id, source_no) );
CREATE INDEX ix_sources_fingerprint ON sources (fingerprint);
CREATE TABLE entries ( run_id INTEGER NOT NULL, source_no SMALLINT NOT NULL, row_number BIGINT NOT NULL, lines_ahead BIGINT NOT NULL, "key" BLOB NOT NULL, request_id BLOB NOT NULL, requested_s BIGINT NOT NULL, state SMALLINT NOT NULL, code VARCHAR(40), profile_id BLOB, replayed BOOLEAN NOT NULL, attempts SMALLINT NOT NULL, superseded_by INTEGER, PRIMARY KEY (run_id, source_no, row_number) ) WITHOUT ROWID;
CREATE INDEX entries_unfinished ON entries (run_id) WHERE state >= 2 AND superseded_by IS NULL;
CREATE UNIQUE INDEX entries_live_key ON entries ("key") WHERE superseded_by IS NULL;
INSERT INTO schema_version VALUES (1);
INSERT INTO runs VALUES (1, '20261123-204501-3fa29c', 'crm', 'run', 1795466701000, NULL, NULL, NULL, '{"read": 2, "accepted": 1}', 1, 'https://example.com', '/runs/1', 'host:1');
INSERT INTO mappings VALUES (1, 'crm', '{}', 0);
INSERT INTO sources VALUES (1, 1, '00112233445566778899aabbccddeeff', '/exports/crm.csv', 1000);
INSERT INTO entries VALUES (1, 1, 1, 1, X'000102030405060708090a0b0c0d0e0f', X'00112233445546778899aabbccddeeff', 1795466701, 1, NULL, X'015eeb54a2ce9448518e85fdad', 0, 1, NULL);
INSERT INTO entries VALUES (1, 1, 2, 1, X'101112131415161718191a1b1c1d1e1f', X'10112233445546778899aabbccddeeff', 1795466701, 0, NULL, X'00000000000000000000000000', 0, 0, NULL);
