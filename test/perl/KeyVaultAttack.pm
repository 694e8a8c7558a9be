# A backend whose users prove by tokens who they are, and what an attacker among them can try:
# for tests of what injected SQL reaches.
package KeyVaultAttack;

use strict;
use warnings;

use Exporter 'import';
use KeyVaultTest;
use KeyVaultToken;
use Test::More;

our @EXPORT = qw(new_attacked %keys good_token login_issuer heard belongs_to_b request look_for_loot vault_state pooler pooler_follows_statements);

our %keys = (user_a => 'AIza-of-user_a-' . 'a' x 20, user_b => 'AIza-of-user_b-' . 'b' x 16 . 'last');
my ($issuer, $sealed);

# new_attacked(name): a server whose role regress_kv_web is set up as the docs say: level user,
# no SET on the parameter, no temporary objects, owner of nothing.  regress_kv_service is for
# comparison.
sub new_attacked
{
	my ($name) = @_;
	my $node = new_vault($name, conf => "shared_preload_libraries = 'key_vault'\nmax_prepared_transactions = 4\n");
	add_role($node, 'regress_kv_web', 'user');
	add_role($node, 'regress_kv_service', 'service');
	$node->safe_psql('postgres', q{
		REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC;
		GRANT TEMPORARY ON DATABASE postgres TO regress_kv_service;
		CREATE TABLE posts (user_id text, title text);
		INSERT INTO posts VALUES ('user_a', 'one'), ('user_b', 'two');
		CREATE TABLE guestbook (entry text);
		GRANT SELECT ON posts TO PUBLIC;
		GRANT SELECT, INSERT ON guestbook TO PUBLIC});
	for my $user (sort keys %keys)
	{
		$node->safe_psql('postgres', "SELECT key_vault.set('$user', 'gemini', '$keys{$user}')");
	}
	$sealed = $node->safe_psql('postgres', q{SELECT encode(sealed, 'hex') FROM key_vault_data.secrets WHERE user_id = 'user_b'});
	$issuer = new_issuer(issuer => 'https://login.example', algorithm => 'ES256', kid => 'first', audience => 'app');
	$issuer->trusted_by($node);
	return $node;
}

sub login_issuer { return $issuer; }

# A token that the server accepts; further claims override.
sub good_token
{
	my ($user, %claims) = @_;
	return $issuer->token(sub => $user, %claims);
}

# Everything that came back, as one text.
sub heard
{
	my (@results) = @_;
	return join "\n", map {
		my $result = $_;
		((map { join '|', map { $_ // '' } @$_ } @{ $result->{rows} }),
			map { join '|', values %$_ } grep { defined } $result->{error}, @{ $result->{notices} })
	} @results;
}

# What of user_b's key or row a text holds.
sub belongs_to_b
{
	my ($text) = @_;
	return $text =~ /(\Q$keys{user_b}\E|b{8}|\Q$sealed\E|\blast\b)/ ? $1 : undef;
}

# A request as a backend runs it: the user's token, then the application's own statements.
# What came of them.
sub request
{
	my ($session, $token, @statements) = @_;
	my @came = ($session->query('BEGIN'), $session->query('SELECT key_vault.authenticate($1)', $token));
	push @came, map { ref $_ ? $session->query(@$_) : $session->simple($_) } @statements;
	push @came, $session->simple('ROLLBACK') if $came[-1]{error};
	push @came, $session->simple('COMMIT');
	return @came;
}

# What user_a's next request finds in the session, wherever loot may lie.
sub look_for_loot
{
	my ($session) = @_;
	return heard(request($session, good_token('user_a'), [ q{SELECT current_setting('stash.loot', true)} ],
		['SELECT entry FROM guestbook'], ['SELECT name, statement FROM pg_prepared_statements'],
		['SELECT name, statement FROM pg_cursors'], ['SELECT name, setting FROM pg_settings'],
		[ q{SELECT relname FROM pg_class WHERE relpersistence = 't'} ]));
}

# A fingerprint of all that nobody may have changed.
sub vault_state
{
	my ($super) = @_;
	return $super->value(q{SELECT md5(concat((SELECT string_agg(s::text, ' ' ORDER BY s.user_id, s.version) FROM key_vault_data.secrets s WHERE user_id = 'user_b'),
		(SELECT string_agg(r::text, ' ' ORDER BY r.name) FROM key_vault_data.sealed_records r),
		(SELECT string_agg(o::text, ' ' ORDER BY o.name) FROM key_vault_data.own_providers o),
		(SELECT string_agg(a::text, ' ' ORDER BY a.role) FROM key_vault.access a),
		(SELECT string_agg(polname || pg_get_expr(polqual, polrelid), ' ') FROM pg_policy)))});
}

# --- PgBouncer ---------------------------------------------------------------

my @poolers;

# Whether it prepares anew, in the server's session that a transaction gets, what its client
# prepared before, by names of its own.
sub pooler_follows_statements
{
	my ($version) = (`PATH=$ENV{PATH}:/usr/sbin pgbouncer --version 2>/dev/null` // '') =~ /^PgBouncer 1\.(\d+)/m;
	return defined $version && $version >= 21;
}

# pooler(node, mode, further lines): where a PgBouncer with one server connection listens, as
# arguments for session(); undef when there is none on this machine.
sub pooler
{
	my ($node, $mode, @lines) = @_;
	my ($program) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
	return undef unless defined $program;

	my $folder = PostgreSQL::Test::Utils::tempdir_short;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	push @lines, 'max_prepared_statements = 0' if pooler_follows_statements() && !grep { /^max_prepared_statements/ } @lines;
	PostgreSQL::Test::Utils::append_to_file("$folder/users", qq{"regress_kv_web" ""\n"regress_kv_service" ""\n});
	PostgreSQL::Test::Utils::append_to_file("$folder/pgbouncer.ini", join "\n", '[databases]',
		'postgres = host=' . $node->host . ' port=' . $node->port, '[pgbouncer]', 'listen_addr =', "listen_port = $port",
		"unix_socket_dir = $folder", 'auth_type = trust', "auth_file = $folder/users", "pool_mode = $mode", 'default_pool_size = 1',
		"logfile = $folder/log", "pidfile = $folder/pid", @lines, '');
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		open STDOUT, '>', "$folder/out";
		open STDERR, '>&', \*STDOUT;
		exec $program, "$folder/pgbouncer.ini" or die "exec: $!";
	}
	push @poolers, $pid;
	listens_soon("$folder/.s.PGSQL.$port");
	return { host => $folder, port => $port };
}

END
{
	my $status = $?;
	for my $pid (@poolers) { kill 'INT', $pid; waitpid $pid, 0; }
	$? = $status;
}

1;
