-- Where a key comes from, what was forced, what was revoked; and the rules of a key's life as constraints.
-- A constraint cannot be added to a table everywhere, so the table is made anew.
CREATE TABLE keys_next (
	kid TEXT NOT NULL PRIMARY KEY CHECK (kid <> ''),
	alg TEXT NOT NULL CHECK (alg <> ''),
	state TEXT NOT NULL CHECK (state IN ('standby', 'active', 'retiring', 'removed', 'revoked')),
	origin TEXT NOT NULL CHECK (origin IN ('init', 'schedule', 'manual', 'emergency', 'import')),
	root_version BIGINT NOT NULL CHECK (root_version > 0), -- whose labels seal it and mark its tokens
	forced BIGINT NOT NULL CHECK (forced IN (0, 1)), -- signs, or signed, before it was ready
	created_at BIGINT NOT NULL,
	publish_at BIGINT NOT NULL CHECK (publish_at > 0),
	ready_at BIGINT NOT NULL CHECK (ready_at >= publish_at),
	activate_at BIGINT NOT NULL,
	retire_at BIGINT NOT NULL,
	remove_at BIGINT NOT NULL,
	revoked_at BIGINT NOT NULL,
	exp_bound BIGINT NOT NULL,
	last_exp BIGINT NOT NULL CHECK (exp_bound = 0 OR last_exp <= exp_bound),
	public_jwk TEXT NOT NULL CHECK (public_jwk <> ''),
	sealed BYTEA NOT NULL,
	-- a private half lives exactly as long as it may still be needed
	CHECK ((state IN ('standby', 'active')) = (length(sealed) > 0)),
	CHECK ((state IN ('retiring', 'removed')) <= (retire_at > 0)),
	CHECK ((state IN ('standby', 'active')) <= (retire_at = 0)),
	CHECK ((state = 'revoked') = (revoked_at > 0)),
	-- what signs has a bound, and signs no earlier than it may
	CHECK (state <> 'active' OR exp_bound > 0),
	CHECK (state <> 'active' OR forced = 1 OR activate_at >= ready_at),
	-- what has signed stays until its last token has expired
	CHECK (state <> 'retiring' OR remove_at >= CASE WHEN last_exp > 0 THEN last_exp ELSE exp_bound END)
);
INSERT INTO keys_next (kid, alg, state, origin, root_version, forced, created_at, publish_at, ready_at,
	activate_at, retire_at, remove_at, revoked_at, exp_bound, last_exp, public_jwk, sealed)
SELECT kid, alg, state, 'schedule', (SELECT MAX(version) FROM roots),
	CASE WHEN activate_at < ready_at AND state <> 'standby' THEN 1 ELSE 0 END, created_at, publish_at, ready_at,
	activate_at, retire_at, remove_at, CASE WHEN state = 'revoked' THEN remove_at ELSE 0 END, exp_bound,
	last_exp, public_jwk, sealed FROM keys;
DROP TABLE keys;
ALTER TABLE keys_next RENAME TO keys;
CREATE UNIQUE INDEX keys_one_active ON keys (alg) WHERE state = 'active';
CREATE UNIQUE INDEX keys_one_standby ON keys (alg) WHERE state = 'standby';

-- Verifiers that fetch the key set, so that a restart does not forget whom a rotation waits for.
CREATE TABLE consumers (
	name TEXT NOT NULL PRIMARY KEY,
	first_at BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	fetches BIGINT NOT NULL,
	held TEXT NOT NULL -- kids of the standbys it holds, separated by one space
);
