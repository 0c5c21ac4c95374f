-- The first schema. Portable between SQLite 3.40 and PostgreSQL 15: BIGINT, TEXT and BYTEA only, truth is
-- 0 or 1, times are Unix seconds (0: not set), ids are made by us. Lists are one text, items separated
-- by one space.

-- Clients and users share one name space, for ever: a row stays when its client or user goes, so that a
-- `sub` never comes to mean somebody else.
CREATE TABLE principals (
	id TEXT NOT NULL PRIMARY KEY,
	kind BIGINT NOT NULL CHECK (kind > 0), -- 1 client, 2 user
	created_at BIGINT NOT NULL,
	deleted_at BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE clients (
	id TEXT NOT NULL PRIMARY KEY REFERENCES principals (id),
	name TEXT NOT NULL,
	disabled BIGINT NOT NULL CHECK (disabled IN (0, 1)),
	auth_method BIGINT NOT NULL CHECK (auth_method >= 0), -- enum auth_method
	grants TEXT NOT NULL,
	scope TEXT NOT NULL,
	audiences TEXT NOT NULL,
	introspect TEXT NOT NULL,
	access_ttl BIGINT NOT NULL CHECK (access_ttl >= 0),
	alg TEXT NOT NULL,
	refresh_rotation BIGINT NOT NULL CHECK (refresh_rotation IN (0, 1)),
	public_password BIGINT NOT NULL CHECK (public_password IN (0, 1)),
	claims TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	version BIGINT NOT NULL
);

CREATE TABLE client_secrets (
	id TEXT NOT NULL PRIMARY KEY,
	client_id TEXT NOT NULL REFERENCES clients (id),
	label TEXT NOT NULL,
	kind BIGINT NOT NULL CHECK (kind > 0), -- enum secret_kind
	hash BYTEA NOT NULL CHECK (length(hash) > 0),
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	last_used_at BIGINT NOT NULL
);
CREATE INDEX client_secrets_client ON client_secrets (client_id);

CREATE TABLE users (
	id TEXT NOT NULL PRIMARY KEY REFERENCES principals (id),
	name TEXT NOT NULL,
	name_key TEXT NOT NULL UNIQUE, -- trimmed, ASCII letters small
	email TEXT NOT NULL,
	email_key TEXT NOT NULL,
	roles TEXT NOT NULL,
	disabled BIGINT NOT NULL CHECK (disabled IN (0, 1)),
	password TEXT NOT NULL,
	claims TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	version BIGINT NOT NULL
);
CREATE INDEX users_email ON users (email_key);

CREATE TABLE apis (
	uri TEXT NOT NULL PRIMARY KEY,
	slug TEXT NOT NULL UNIQUE,
	name TEXT NOT NULL,
	scope TEXT NOT NULL,
	alg TEXT NOT NULL,
	format TEXT NOT NULL,
	access_ttl BIGINT NOT NULL CHECK (access_ttl >= 0),
	claims TEXT NOT NULL,
	disabled BIGINT NOT NULL CHECK (disabled IN (0, 1)),
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	version BIGINT NOT NULL
);

-- One row per login, the refresh token's family. A rotation changes only columns without an index.
CREATE TABLE logins (
	id BYTEA NOT NULL PRIMARY KEY,
	seed BYTEA NOT NULL,
	sid TEXT NOT NULL UNIQUE,
	client_id TEXT NOT NULL REFERENCES principals (id),
	user_id TEXT NOT NULL REFERENCES principals (id),
	scope TEXT NOT NULL,
	audience TEXT NOT NULL,
	amr TEXT NOT NULL,
	n BIGINT NOT NULL CHECK (n BETWEEN 0 AND 4294967295),
	auth_time BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	idle_until BIGINT NOT NULL CHECK (idle_until <= expires_at),
	rotated_at BIGINT NOT NULL,
	retries BIGINT NOT NULL CHECK (retries >= 0),
	ended_at BIGINT NOT NULL CHECK (ended_at >= 0),
	end_reason TEXT NOT NULL
);
CREATE INDEX logins_client ON logins (client_id);
CREATE INDEX logins_user ON logins (user_id);

CREATE TABLE revocations (
	kind BIGINT NOT NULL CHECK (kind > 0), -- enum revoke_kind
	value TEXT NOT NULL,
	iat_max BIGINT NOT NULL,
	keep_until BIGINT NOT NULL,
	PRIMARY KEY (kind, value)
);
CREATE INDEX revocations_keep ON revocations (keep_until);

CREATE TABLE keys (
	kid TEXT NOT NULL PRIMARY KEY,
	alg TEXT NOT NULL CHECK (alg <> ''),
	state TEXT NOT NULL CHECK (state IN ('standby', 'active', 'retiring', 'removed', 'revoked')),
	created_at BIGINT NOT NULL,
	publish_at BIGINT NOT NULL,
	ready_at BIGINT NOT NULL CHECK (ready_at >= publish_at),
	activate_at BIGINT NOT NULL,
	retire_at BIGINT NOT NULL,
	remove_at BIGINT NOT NULL,
	exp_bound BIGINT NOT NULL,
	last_exp BIGINT NOT NULL,
	public_jwk TEXT NOT NULL,
	sealed BYTEA NOT NULL,
	CHECK (state NOT IN ('standby', 'active') OR (length(sealed) > 0 AND retire_at = 0)),
	CHECK (state NOT IN ('retiring', 'removed') OR (length(sealed) = 0 AND retire_at > 0))
);
CREATE UNIQUE INDEX keys_one_active ON keys (alg) WHERE state = 'active';
CREATE UNIQUE INDEX keys_one_standby ON keys (alg) WHERE state = 'standby';

CREATE TABLE roots (
	version BIGINT NOT NULL PRIMARY KEY CHECK (version > 0),
	sealed BYTEA NOT NULL CHECK (length(sealed) > 0),
	created_at BIGINT NOT NULL
);

CREATE TABLE audit (
	id BIGINT NOT NULL PRIMARY KEY,
	at BIGINT NOT NULL,
	event TEXT NOT NULL,
	outcome TEXT NOT NULL,
	actor TEXT NOT NULL,
	target TEXT NOT NULL,
	address TEXT NOT NULL,
	request_id TEXT NOT NULL,
	reason TEXT NOT NULL,
	count BIGINT NOT NULL
);
CREATE INDEX audit_at ON audit (at);

CREATE TABLE meta (
	name TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
);
