# The root keys that a session holds are in memory that is never swapped; where the
# system allows no locked memory, keys open all the same and status() says so.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'this system tells nothing of processes in /proc' unless -r '/proc/self/status';

my $node = new_vault('locked_memory');
my $get = q{SELECT key_vault.get('user_a', 'gemini')};
my $state = q{SELECT state FROM key_vault.status() WHERE item = 'keyring'};
$node->safe_psql('postgres', q{SELECT key_vault.set('user_a', 'gemini', 'AIza-of-user_a')});

# How much memory a backend has locked, in kB.
sub locked
{
	my ($session) = @_;
	return (slurp_file('/proc/' . $session->pid . '/status') =~ /^VmLck:\s+(\d+) kB$/m)[0];
}

my $session = session($node);
my ($limit) = slurp_file('/proc/' . $session->pid . '/limits') =~ /^Max locked memory\s+(\S+)/m;
SKIP:
{
	skip 'the system allows less than 64 kB of locked memory', 4 if $limit ne 'unlimited' && $limit < 65536;
	is(locked($session), 0, 'a session that has read no keyring has nothing locked');
	outcome_is($session, 'AIza-of-user_a', 'a key opens', $get);
	cmp_ok(locked($session), '>', 0, 'and the root key is in locked memory');
	outcome_is($session, 'ok', 'status() has nothing against that', $state);
}

SKIP:
{
	my $none = session($node);
	skip 'prlimit cannot change a process', 3
	  if system('prlimit', '--memlock=0:0', '--pid', $none->pid) != 0;
	outcome_is($none, 'AIza-of-user_a', 'a key opens where no memory can be locked', $get);
	is(locked($none), 0, 'and nothing is');
	outcome_is($none, 'warning', 'which status() tells', $state);
}

$node->stop;
done_testing();
