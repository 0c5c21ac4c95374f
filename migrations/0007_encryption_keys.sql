-- The public key that an api's tokens are encrypted to (JWE), a JWK; '' where they are not.
ALTER TABLE apis ADD COLUMN encryption_key TEXT NOT NULL DEFAULT '';
