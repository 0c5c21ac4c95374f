-- Access tokens that are known by their record: opaque ones, which say nothing themselves. Only a keyed hash of
-- the text is kept. What is stored about one is what introspection tells; it leaves when the token has expired.
CREATE TABLE recorded_tokens (
	hash BYTEA NOT NULL PRIMARY KEY CHECK (length(hash) > 0),
	kid TEXT NOT NULL, -- of the key that signed what is inside; '' where nothing is
	claims TEXT NOT NULL,
	exp BIGINT NOT NULL
);
CREATE INDEX recorded_tokens_exp ON recorded_tokens (exp);
