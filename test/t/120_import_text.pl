# The text of a statement that imports, with a passphrase or a .env file's text literally
# in it, is not in the log of its errors, however early it fails; nor is half a character
# in a warning.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_vault('import_text', conf => "log_min_messages = warning\nlog_statement = none\n");
add_role($node, 'regress_kv_service', 'service');
add_role($node, 'regress_kv_user', 'user', 'user_a');

my $service = session($node, 'regress_kv_service');
my $user = session($node, 'regress_kv_user');

outcome_is($service, '22012', 'a query that fails',
	q{SELECT key_vault.import_keys('SELECT ''user_a'', ''exa'', 1/0', 'canary-passphrase')});
outcome_is($user, '42501', 'a .env file for another user',
	q{SELECT * FROM key_vault.import_dotenv('user_b', 'EXA_API_KEY=canary-0123456789')});
outcome_is($service, '22023', 'a .env file that is too long',
	q{SELECT * FROM key_vault.import_dotenv('user_a', 'EXA_API_KEY=canary-0123456789} . "\n" x 1_048_576 . q{')});

# A name of characters of three bytes, cut where a character ends
my $result = $service->query(
	q{SELECT key_vault.import_keys('SELECT ''user_a'', repeat(''€'', 30), ''k''')});
is_deeply(
	[ map { $_->{message} =~ /provider "(.*?)"/ } @{ $result->{notices} } ],
	["\xe2\x82\xac..."],
	'a name that is cut is still text');

my $log = slurp_file($node->logfile);
unlike($log, qr/canary/, 'nothing of it in the log');
like($log, qr/STATEMENT:  SELECT key_vault\.import_keys\(\$1, \$2\)/, 'but the statement without it');

done_testing();
