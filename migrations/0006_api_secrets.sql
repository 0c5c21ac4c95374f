-- Secrets that single back ends verify with (HS256), sealed by the signer for this kid and this api. Of those
-- that may sign, the one whose time began last does; one that is followed goes on verifying until `until`.
CREATE TABLE api_secrets (
	kid TEXT NOT NULL PRIMARY KEY CHECK (kid <> ''),
	uri TEXT NOT NULL,
	sealed BYTEA NOT NULL CHECK (length(sealed) > 0),
	created_at BIGINT NOT NULL,
	sign_from BIGINT NOT NULL,
	until BIGINT NOT NULL -- 0: nothing has followed it
);
CREATE INDEX api_secrets_uri ON api_secrets (uri, sign_from);
