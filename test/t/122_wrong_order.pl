# A key that is passed as user id, provider or label is in no message, in no log and in no
# table, and pg_stat_activity does not keep it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_vault('wrong_order', conf => "log_min_messages = warning\nlog_statement = none\nlog_error_verbosity = verbose\n");
add_role($node, 'regress_kv_service', 'service');
my $super = session($node);
my $service = session($node, 'regress_kv_service');

my $short = 'sk-9f2c4e61a7b3d80512ce4f6a7b8c9d0e';
my $long = 'sk-proj-9f2c4e61a7b3d80512ce4f6a7b8c9d0e9f2c4e61a7b3d80512ce4f6a7b8c9d0e';

# refused(name, SQLSTATE, sql, parameters)
sub refused
{
	my ($name, $state, $sql, @parameters) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $result = $service->query($sql, @parameters);
	is($result->{error}{state}, $state, $name);
	my $said = join "\n", map { values %$_ } @{ $result->{notices} }, $result->{error} // ();
	unlike($said, qr/9f2c4e61/, '... no message holds the key');
	unlike($super->value('SELECT query FROM pg_stat_activity WHERE pid = $1::int', $service->pid), qr/9f2c4e61/, '... nor pg_stat_activity');
	return;
}

for my $key ($short, $long)
{
	my $how = $key eq $long ? ', longer than a label may be' : '';
	refused("as label$how", '22023', 'SELECT key_vault.set($1, $2, $3, $4)', 'user_a', 'openai', 'work', $key);
	refused("as label, literally$how", '22023', "SELECT key_vault.set('user_a', 'openai', 'work', '$key')");
	refused("as label, literally beside a bound key$how", '22023', "SELECT key_vault.set(\$1, 'openai', \$2, '$key')", 'user_a', 'x' x 20);
	refused("as user id, literally beside a bound key$how", '22023', "SELECT key_vault.set('$key', 'openai', \$1)", 'x' x 20);
	refused("as provider, literally beside a bound key$how", '42704', "SELECT key_vault.set('user_a', '$key', \$1)", 'x' x 20);
	refused("as user id and for an unknown provider$how", '42704', "SELECT key_vault.set('$key', 'nonesuch', \$1)", 'x' x 20);
}

# In the attributes, where it would stand in the clear as well
my $in_attributes = q(SELECT key_vault.set('user_a', 'openai', $1, attributes => %s));
for my $json (qq({"note": "$short"}), qq({"note": {"list": ["see https://example.com/?key=$short"]}}), qq({"$short": 1}))
{
	refused("in the attributes: $json", '22023', sprintf($in_attributes, '$2'), 'x' x 20, $json);
	refused('... literally', '22023', sprintf($in_attributes, "'$json'"), 'x' x 20);
}
refused('as the attributes', '22P02', sprintf($in_attributes, '$2'), 'x' x 20, $short);
refused('... literally', '22P02', sprintf($in_attributes, "'$short'"), 'x' x 20);
refused('itself in the attributes', '22023', sprintf($in_attributes, 'jsonb_build_object($2::text, $3::text)'), '9f2c4e61-without-prefix', 'note', 'it is 9f2c4e61-without-prefix');
is($super->value('SELECT count(*) FROM key_vault.secrets'), 0, 'nothing is stored');

# Odd keys, refused
$super->run(q(ALTER ROLE regress_kv_service SET key_vault.check_keys = 'refuse'));
$service->close;
$service = session($node, 'regress_kv_service');
refused('a zero width space', '22023', q(SELECT key_vault.set('user_a', 'openai', $1)), "$short\xe2\x80\x8b");
refused('a zero width space, literally', '22023', "SELECT key_vault.set('user_a', 'openai', '$short\xe2\x80\x8b')");
refused('a line break, literally', '22023', "SELECT key_vault.set('user_a', 'openai', '$short\nx')");
refused('a masked one, literally', '22023', "SELECT key_vault.set('user_a', 'openai', 'sk-9f2c4e61***')");
refused('inspected for an unknown provider, literally', '42704', "SELECT key_vault.inspect_key('nonesuch', '$short')");

my $log = slurp_file($node->logfile);
unlike($log, qr/9f2c4e61/, 'the log holds none of it');
like($log, qr/looks like an API key/, 'but the errors');

done_testing();
