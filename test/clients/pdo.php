<?php
// PDO's pgsql driver: with parameters bound by the server, and with emulation (argument "emulated").

const USER = 42;
const UUID_USER = '00000000-0000-4000-8000-000000000042';
const MARKER = 'stands-in-the-text';

$emulated = ($argv[1] ?? '') === 'emulated';

function connect(string $port): PDO
{
    global $emulated;
    $dsn = sprintf('pgsql:host=%s;port=%s;dbname=%s', getenv('PGHOST'), $port, getenv('PGDATABASE'));
    return new PDO($dsn, getenv('PGUSER'), getenv('PGPASSWORD'), [
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
        PDO::ATTR_EMULATE_PREPARES => $emulated,
    ]);
}

$db = connect(getenv('PGPORT'));

function value(string $sql, ...$parameters): mixed
{
    global $db;
    $statement = $db->prepare($sql);
    $statement->execute($parameters);
    return $statement->fetchColumn();
}

function value_as(string $user, string $sql, ...$parameters): mixed
{
    global $db;
    $db->beginTransaction();
    try {
        value("SELECT set_config('key_vault.user_id', ?, true)", $user);
        $value = value($sql, ...$parameters);
        $db->commit();
        return $value;
    } catch (PDOException $error) {
        $db->rollBack();
        throw $error;
    }
}

function error_of(callable $call): string
{
    try {
        $call();
    } catch (PDOException $error) {
        return sprintf('%s %s', $error->errorInfo[0] ?? '-', $error::class);
    }
    return 'no error';
}

function how_to_pass(mixed $user): string
{
    $ways = ['as it is' => ['?', $user], 'with ::text' => ['?::text', $user], 'as a string' => ['?', (string) $user]];
    foreach ($ways as $name => [$placeholder, $passed]) {
        try {
            if (value("SELECT key_vault.get($placeholder, 'gemini')", $passed) === "key-of-$user") {
                return $name;
            }
        } catch (PDOException) {
            continue;
        }
    }
    return 'not at all';
}

function check(bool $holds, string $what): void
{
    if (!$holds) {
        fwrite(STDERR, "$what\n");
        exit(1);
    }
}

$in_text = str_contains(value('SELECT current_query() FROM (SELECT ?::text) AS q', MARKER), MARKER);
print 'parameters: ' . ($in_text ? 'text' : 'bound') . "\n";
print "identity: \$db->beginTransaction()\n";
check(value_as((string) USER, 'SELECT key_vault.get(NULL, ?)', 'gemini') === 'key-of-' . USER, 'not the user\'s key');
check((string) value("SELECT current_setting('key_vault.user_id', true)") === '', 'the identity outlives its transaction');
print 'integer: ' . how_to_pass(USER) . "\n";
print 'uuid: ' . how_to_pass(UUID_USER) . "\n";
print 'jsonb: ' . get_debug_type(value_as((string) USER, 'SELECT key_vault.get_all(NULL)')) . "\n";
print 'get: ' . var_export(value_as('nobody', 'SELECT key_vault.get(NULL, ?)', 'gemini'), true) . "\n";
print 'require: ' . error_of(fn () => value_as('nobody', 'SELECT key_vault.require(NULL, ?)', 'gemini')) . "\n";
print 'refused: ' . error_of(fn () => value_as('nobody', "SELECT key_vault.get(?, 'gemini')", (string) USER)) . "\n";
print 'stopped: ' . error_of(fn () => value('SELECT pg_terminate_backend(pg_backend_pid())')) . "\n";
print 'unreachable: ' . error_of(fn () => connect('1')) . "\n";
