-- Whose token or login was revoked, so that the feed can say many of them in one broader entry. Unknown ('') for
-- what was revoked before.
ALTER TABLE revocations ADD COLUMN sid TEXT NOT NULL DEFAULT '';
ALTER TABLE revocations ADD COLUMN client_id TEXT NOT NULL DEFAULT '';
