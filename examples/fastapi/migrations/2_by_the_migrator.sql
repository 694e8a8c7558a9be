-- At each deployment, by the migration role; the same result however often it runs.
--
--     psql -v ON_ERROR_STOP=1 -f 2_by_the_migrator.sql "$MIGRATOR_URL"

BEGIN;

-- The first root key.  Later ones are made when you rotate, not here.
SELECT key_vault.create_root_key()
WHERE NOT EXISTS (SELECT FROM key_vault.root_keys WHERE state = 'active');

-- Providers that only this application knows.
SELECT key_vault.add_provider('wix', display_name => 'Wix', category => 'integrations',
    key_url => 'https://manage.wix.com/account/api-keys');

COMMIT;
