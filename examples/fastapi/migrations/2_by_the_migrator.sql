-- At each deployment, by the migration role; the same result however often it runs.
--
--     psql -v ON_ERROR_STOP=1 -f 2_by_the_migrator.sql "$MIGRATOR_URL"

-- Providers that only this application knows.
SELECT key_vault.add_provider('wix', display_name => 'Wix', category => 'integrations',
    key_url => 'https://manage.wix.com/account/api-keys');
