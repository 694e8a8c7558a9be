# auto_explain's formats: a key with characters that XML, JSON or YAML spells otherwise is masked in each,
# once the statement has passed it to key_vault.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_vault('formats', conf => <<'END');
shared_preload_libraries = 'key_vault, auto_explain'
auto_explain.log_min_duration = 0
auto_explain.log_nested_statements = on
auto_explain.log_verbose = on
log_statement = none
END
plan skip_all => 'auto_explain is not installed' if $node->safe_psql('postgres', 'SHOW auto_explain.log_format') eq '';

# What an application does with a key beside storing it: the plan of the second statement shows it as a constant.
$node->safe_psql('postgres', q{
	CREATE TABLE seen (id int, key text);
	INSERT INTO seen SELECT n, 'x' FROM generate_series(1, 10) n;
	CREATE FUNCTION save(api_key text) RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM key_vault.set('user_a', 'exa', api_key);
		RETURN (SELECT count(*) FROM seen s WHERE s.key = api_key);
	END $$});

# No eight of its bytes stand beside each other in XML; each piece is told from the other text
my @pieces = map { "zq$_" } qw(k1 w2 v3 j4 h5 x6 g7 y8 b9);
my $key = join '', map { $pieces[$_] . ('&', '<', '>', '"', q('), '\\', '&amp;', '<lt;', '')[$_] } 0 .. $#pieces;

for my $format (qw(text xml json yaml))
{
	my $session = session($node);
	$session->run("SET auto_explain.log_format = $format");
	my $from = -s $node->logfile;
	is($session->value('SELECT save($1)', $key), 0, "$format: a key is passed on");
	$session->close;
	my $log = substr slurp_file($node->logfile), $from;
	like($log, qr{key = '\*{4}'::text}, "$format: the plan that has it is logged");
	my @shown = grep { $log =~ /\Q$_\E/ } @pieces;
	is_deeply(\@shown, [], "$format: and shows nothing of the key") or diag($log =~ /(.*key = .*)/);
}

done_testing();
