# Citus that is installed, and distributes the keys, while sessions are at work: they go on with the
# distributed keys at once.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCitus;
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

citus_or_skip();

my $node = new_worker('later');
$node->safe_psql('postgres', 'DROP EXTENSION citus');
install_vault($node, 'postgres');
my ($old, $new) = ('exa-0123456789-old', 'exa-0123456789-new');
my ($session, $other) = (session($node), session($node));
$session->run("SELECT key_vault.set('user_a', 'exa', '$old')");
outcome_is($_, $old, 'a key before there is Citus', "SELECT key_vault.get('user_a', 'exa')") for $session, $other;

$node->safe_psql('postgres', <<"END");
CREATE EXTENSION citus;
SELECT citus_set_coordinator_host('127.0.0.1', @{[ $node->port ]});
SELECT citus_set_node_property('127.0.0.1', @{[ $node->port ]}, 'shouldhaveshards', true);
END
outcome_is($session, $old, '... and while nothing is distributed', "SELECT key_vault.get('user_a', 'exa')");
$node->safe_psql('postgres', 'SELECT key_vault.distribute()');
outcome_is($_, $old, 'a key that has been distributed', "SELECT key_vault.get('user_a', 'exa')") for $session, $other;
$session->run("SELECT key_vault.set('user_a', 'exa', '$new')");
outcome_is($other, $new, 'and one that is set then', "SELECT key_vault.get('user_a', 'exa')");
for my $known ($session, $other)
{
	$node->safe_psql('postgres', 'SELECT key_vault.create_root_key()');
	$known->run('CALL key_vault.rotate_root_key()');
	is($known->value('SELECT count(DISTINCT root_key_id) FROM key_vault_data.secrets'), 1, 'a rotation goes through the shards');
}
$node->safe_psql('postgres', 'SELECT key_vault.undistribute()');
$session->run('CALL key_vault.rotate_root_key()');
outcome_is($_, $new, 'and the way back', "SELECT key_vault.get('user_a', 'exa')") for $session, $other;

done_testing();
