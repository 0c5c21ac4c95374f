-- Disabling or deleting an api ends the logins that were granted it. Without an index that was a walk through
-- all logins, in the writer, while every other write waited. A rotation changes no audience, and costs no more
-- than before.
CREATE INDEX logins_audience ON logins (audience);
