-- Moving from the application's old tables, by a superuser or a role at level `service`;
-- again as often as you like, until the last old backend is gone.
--
--     psql -v ON_ERROR_STOP=1 -f 3_move_keys_in.sql "$SUPERUSER_URL"
--
-- Of duplicate sessions and keys the newest
-- wins; a key that a user has set in key_vault since stays.  Its last NOTICE says
-- what still holds the plaintext, and how to get rid of it.

SELECT to_regclass('public.api_keys') IS NOT NULL AS has_old_tables \gset
\if :has_old_tables
SELECT * FROM key_vault.import_keys($$
    SELECT s.user_id, k.provider, k.key, k.updated_at
    FROM public.api_keys k
    JOIN public.onboarding_sessions s ON k.session_id = s.id
$$);
\endif
