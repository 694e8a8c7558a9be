# A server under valgrind: calls of every kind, with errors and cancels mixed in, and
# 100,000 of them in a row in three sessions.  No invalid access, no value that was never set, and nothing lost for good, in a stack
# that goes through key_vault.  What PostgreSQL's own code does is left aside.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'takes minutes: set KV_LONG=1' unless $ENV{KV_LONG};
my $valgrind = (grep { -x } map { "$_/valgrind" } split /:/, $ENV{PATH})[0];
plan skip_all => 'valgrind is not installed' unless defined $valgrind;

my $folder = PostgreSQL::Test::Utils::tempdir;
my $node = new_vault('watched', conf => "log_statement = none\nautovacuum = off\njit = off\n"
	. "shared_buffers = 16MB\nmax_parallel_workers = 0\n");
my $path = keyring_path($node);
add_role($node, 'regress_kv_service', 'service');
add_role($node, 'regress_kv_tenant', 'user', 'user_1');
$node->stop;

# PostgreSQL moves the entries of its cache of regular expressions onto themselves
append_to_file("$folder/suppressions", <<'END');
{
   RE_compile_and_cache
   Memcheck:Overlap
   fun:__memcpy_chk
   fun:RE_compile_and_cache
}
{
   RE_compile_and_cache
   Memcheck:Overlap
   fun:memcpy*
   fun:RE_compile_and_cache
}
END

# pg_ctl -p: the same server, run by valgrind
my $postgres = $node->config_data('--bindir') . '/postgres';
append_to_file("$folder/postgres", <<"END");
#!/bin/sh
exec $valgrind --quiet --trace-children=yes --child-silent-after-fork=no --xml=yes --xml-file=$folder/%p.xml \\
	--leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --track-origins=no \\
	--num-callers=40 --error-limit=no --suppressions=$folder/suppressions $postgres "\$@"
END
chmod 0755, "$folder/postgres";
command_ok([ 'pg_ctl', '-w', '-t', '180', '-D', $node->data_dir, '-l', $node->logfile, '-p', "$folder/postgres", 'start' ],
	'a server under valgrind');
$node->_update_pid(1);

# --- Calls

my $calls = 0;
my %states;

sub call
{
	my ($session, $sql, @parameters) = @_;
	my $result = $session->query($sql, @parameters);
	$states{ $result->{error}{state} // 'ok' }++;
	$calls++;
	return $result;
}

my $start = time;
my $super = session($node);
my $service = session($node, 'regress_kv_service');
my $tenant = session($node, 'regress_kv_tenant');

sub everything
{
	my ($session, $n) = @_;
	my $user = "user_$n";
	call($session, 'SELECT key_vault.set($1, $2, $3)', $user, 'gemini', "AIza-$n");
	call($session, 'SELECT key_vault.set($1, $2, $3, label => $4, expires_at => $5)', $user, 'hf', "hf_$n", 'work', '2100-01-01');
	call($session, 'SELECT key_vault.set($1, $2, $3)', $user, 'openai', 'sk-' . 'x' x 60000) if $n % 10 == 0;
	call($session, 'SELECT key_vault.set($1, $2, $3)', $user, 'no_such', 'x');
	call($session, 'SELECT key_vault.set($1, $2, $3)', $user, 'gemini', '');
	call($session, 'SELECT key_vault.set($1, $2, $3)', $user, 'gemini', ' spaces around ');
	call($session, 'SELECT key_vault.set($1, $2, $3)', $user, 'gemini', 'x' x 70000);
	call($session, 'SELECT key_vault.set($1, $2, $3, if_version => 0)', $user, 'gemini', 'AIza-x');
	call($session, 'SELECT key_vault.set($1, $2, $3)', 'u' x 256, 'gemini', 'AIza-x');
	call($session, 'SELECT key_vault.set($1, $2, $3)', undef, undef, undef);
	call($session, "SELECT key_vault.set('$user', 'gemini', 'AIza-literal')");
	call($session, 'SELECT key_vault.get($1, $2)', $user, $_) for 'gemini', ' Gemini ', 'google', 'exa', 'gemin', '';
	call($session, 'SELECT key_vault.get($1, $2)', $user, 'openai') if $n % 10 == 0;
	call($session, 'SELECT key_vault.get($1, $2, $3)', $user, 'huggingface', 'work');
	call($session, 'SELECT key_vault.require($1, $2)', $user, $_) for 'gemini', 'exa';
	call($session, "SELECT key_vault.$_(\$1)", $user) for 'get_all', 'list', 'onboarding';
	call($session, "SELECT key_vault.$_(\$1, \$2)", $user, 'gemini') for 'source', 'versions';
	call($session, 'SELECT key_vault.rollback($1, $2, $3)', $user, 'gemini', $_) for 1, 99;
	call($session, 'SELECT key_vault.record_usage($1, $2, cost => 0.5)', $user, 'gemini');
	call($session, "SELECT * FROM key_vault.$_") for 'api_keys', 'onboarding_sessions', 'monthly_costs', 'providers';
	call($session, 'SELECT key_vault.import_dotenv($1, $2)', $user, "EXA_API_KEY='exa-$n'\n# x\nexport OPENAI_API_KEY=\"sk-\\n\$x\"\nbroken");
	call($session, 'SELECT key_vault.import_dotenv($1, $2)', $user, "EXA_API_KEY=exa-$n\nSERPER_API_KEY=serper-$n\n");
	call($session, q{SELECT key_vault.import_keys('SELECT $$i$$ || n, CASE n WHEN 3 THEN $$no_such$$ ELSE $$exa$$ END, $$k$$ || n FROM generate_series(1, 5) n')});
	call($session, q{SELECT key_vault.import_keys('SELECT 1/0')});
	call($session, 'SELECT key_vault.delete($1, $2)', $user, 'exa');
	call($session, 'SELECT mode, reason FROM key_vault.mode()');
	$session->run('BEGIN');
	call($session, q{SELECT set_config('key_vault.user_id', $1, true)}, $user);
	call($session, 'SELECT key_vault.get(NULL, $1)', 'gemini');
	call($session, 'SAVEPOINT s');
	call($session, 'SELECT key_vault.get($1, $2)', 'user_other', 'gemini');
	call($session, 'ROLLBACK TO s');
	$session->run('ROLLBACK');
	call($session, 'SELECT key_vault.forget($1)', $user) if $n % 3 == 0;
	return;
}

my @straight_way = 'DROP POLICY IF EXISTS harmless ON key_vault_data.secrets';
my @planners_way = (@straight_way, 'CREATE POLICY harmless ON key_vault_data.secrets AS RESTRICTIVE USING (true)');

# Tokens: of each kind of key, remembered and not, refused in each way, within savepoints
my %signer = map { ($_ => new_issuer(issuer => "https://$_.example", algorithm => $_, kid => "of_$_")) } qw(HS256 ES256 RS256 PS256);
my $trust = 'SELECT key_vault.trust_issuer($1, $2, $3, user_prefix => $4, team_claim => $5)';
add_role($node, 'regress_kv_by_token', 'user');
my $by_token = session($node, 'regress_kv_by_token');

sub token_by
{
	my ($algorithm, @claims) = @_;
	return $signer{$algorithm}->token(sub => 'a', exp => time + 36000, @claims);
}

sub with_tokens
{
	my ($round) = @_;
	for my $algorithm (sort keys %signer)
	{
		call($super, $trust, "https://$algorithm.example", '{key_vault}', $signer{$algorithm}->jwks, "$algorithm:", 'team');
		my $token = token_by($algorithm, team => 'acme', jti => $round);
		call($by_token, 'SELECT key_vault.authenticate($1)', $token) for 1 .. 3;
		call($by_token, 'SELECT key_vault.get(NULL, $2), key_vault.current_team_id() FROM key_vault.authenticate($1)', $token, 'gemini');
		call($by_token, 'SELECT key_vault.authenticate($1)', $_)
		  for '', 'a', 'a.b.c', '....', substr($token, 0, -5), "$token=", "x$token", $token =~ s/.{5}\z/AAAAA/r, $token =~ s/\./../r, 'x' x 20000,
		  token_by($algorithm, exp => time - 600, iat => time - 900), token_by($algorithm, aud => 'x'), token_by($algorithm, iss => 'x'),
		  token_by($algorithm, sub => 'x' x 300), token_by($algorithm, deep => [ [ [ ['x'] ] ] ]), token_by($algorithm, nbf => time + 600),
		  (map { $signer{$algorithm}->sign($_, '{}') } '{"alg":"none"}', '{"alg":', '{"alg":"RS256","alg":"RS256"}', '[' x 200, "{\"alg\":\"$algorithm\",\"crit\":[\"x\"]}");
		$by_token->run('BEGIN', 'SAVEPOINT s');
		call($by_token, 'SELECT key_vault.authenticate($1)', $token);
		$by_token->run('SAVEPOINT t');
		call($by_token, 'SELECT key_vault.authenticate($1)', token_by($algorithm, jti => "t$round"));
		$by_token->run($round % 2 ? 'RELEASE t' : 'ROLLBACK TO t');
		call($super, 'SELECT key_vault.revoke_tokens($1)', "$algorithm:b");
		call($by_token, 'SELECT key_vault.current_user_id()');
		$by_token->run('ROLLBACK TO s', 'COMMIT');
	}
	call($super, $trust, 'https://bad.example', '{key_vault}', $_, 'bad:', undef)
	  for '{}', '{"keys": []}', '{"keys": [{"kty": "oct", "k": "c2hvcnQ", "alg": "HS256"}]}', '{"keys": [1]}', $signer{HS256}->jwks(@signer{qw(ES256 RS256 PS256)}), 'x';
	call($super, $_) for 'SELECT * FROM key_vault.issuers', q{SELECT key_vault.distrust_issuer('https://ES256.example')}, 'SELECT * FROM key_vault.status()';
	return;
}
with_tokens($_) for 1 .. 4;

everything($super, $_) for 1 .. 10;
everything($service, $_) for 11 .. 40;
everything($tenant, $_) for 1 .. 3;

# The planner's way, and a table that is not as shipped
$super->run(@planners_way);
everything($super, $_) for 41 .. 45;
$super->run(@straight_way);

# Rows that do not open
$super->run(q{SELECT key_vault.set('user_tampered', 'gemini', 'AIza-x')});
for my $change ('set_byte(sealed, 0, 9)', 'set_byte(sealed, 5, get_byte(sealed, 5) # 1)', 'set_byte(sealed, 40, get_byte(sealed, 40) # 1)',
	'substr(sealed, 1, 50)', 'sealed || sealed')
{
	$super->run('BEGIN', "UPDATE key_vault_data.secrets SET sealed = $change WHERE user_id = 'user_tampered'");
	call($super, q{SELECT key_vault.get('user_tampered', 'gemini')});
	$super->run('ROLLBACK');
}

# Root keys, the keyring broken and well again, rotation, status
my $ring = slurp_file($path);
for my $content ("garbage\n", '', substr($ring, 0, -70), "$ring$ring", "# x\r\n$ring")
{
	unlink $path;
	append_to_file($path, $content);
	chmod 0600, $path;
	my $fresh = session($node, 'regress_kv_service');
	call($fresh, q{SELECT key_vault.get('user_11', 'gemini')}) for 1, 2;
	call($super, $_) for 'SELECT * FROM key_vault.root_keys', 'SELECT key_vault.create_root_key()', 'SELECT * FROM key_vault.status()';
	$fresh->close;
}
unlink $path;
append_to_file($path, $ring);
chmod 0600, $path;
call($super, 'SELECT key_vault.activate_root_key(key_vault.create_root_key())') for 1 .. 3;
call($super, 'CALL key_vault.rotate_root_key(7)');
call($super, 'CALL key_vault.rotate_root_key(0)');
call($super, 'SELECT key_vault.retire_root_key(id) FROM key_vault.root_keys') for 1, 2;
call($super, q{SELECT key_vault.retire_root_key(id) FROM key_vault.root_keys WHERE state = 'standby'});
call($super, $_) for 'SELECT * FROM key_vault.status()', 'SELECT * FROM key_vault.access', 'SELECT * FROM key_vault.inventory',
  q{SELECT key_vault.grant_access('regress_kv_tenant', 'admin')}, q{SELECT key_vault.revoke_access('regress_kv_tenant')},
  q{SELECT key_vault.grant_access('nobody_here', 'user')}, q{SELECT key_vault.add_provider('acme')}, q{SELECT key_vault.add_provider('bad name!')},
  q{SELECT key_vault.remove_provider('acme')}, q{SELECT key_vault.escrow_keyring('garbage')}, 'CALL key_vault.purge()';

# Cancelled anywhere
for my $n (1 .. 60)
{
	1 while $service->simple('SET statement_timeout = ' . (5 + 5 * ($n % 12)))->{error};
	call($service, $n % 2 ? q{SELECT count(key_vault.get('user_' || n % 50, 'gemini')) FROM generate_series(1, 20000) n}
		: q{SELECT count(key_vault.set('user_' || n % 50, 'exa', 'exa-' || n)) FROM generate_series(1, 2000) n});
	1 while $service->simple('SET statement_timeout = 0')->{error};
}
everything($service, $_) for 46 .. 60;

# --- A great many, each caught if it fails

# The tenant's level was taken away above
$super->run(q{SELECT key_vault.grant_access('regress_kv_tenant', 'user')}, q{SELECT key_vault.set('user_tampered', 'gemini', 'AIza-x')},
	q{UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE user_id = 'user_tampered'});
$super->run(<<'SQL');
CREATE FUNCTION one_call(u text, n int) RETURNS void AS $$
DECLARE
	v text := 'AIza-' || n;
BEGIN
	CASE n % 40
		WHEN 0 THEN PERFORM key_vault.set(u, 'gemini', v);
		WHEN 1 THEN PERFORM key_vault.set(u, 'huggingface', v, label => 'work', expires_at => now() + interval '1 day');
		WHEN 2 THEN PERFORM key_vault.set(u, 'gemini', v, if_version => 77);
		WHEN 3 THEN PERFORM key_vault.set(u, 'gemini', NULL);
		WHEN 4 THEN PERFORM key_vault.set(u, 'gemini', repeat('x', 65537));
		WHEN 5 THEN PERFORM key_vault.set(u, 'gemni', v);
		WHEN 6 THEN PERFORM key_vault.set(u, 'gemini', v, label => E'a\nb');
		WHEN 7 THEN PERFORM key_vault.set(u, 'gemini', v, expires_at => '2000-01-01');
		WHEN 8 THEN PERFORM key_vault.set(repeat(u, 100), 'gemini', v);
		WHEN 9 THEN PERFORM key_vault.get(u, 'gemni');
		WHEN 10 THEN PERFORM key_vault.get(NULL, 'gemini');
		WHEN 11 THEN PERFORM key_vault.get('user_tampered', 'gemini');
		WHEN 12 THEN PERFORM key_vault.get('', 'gemini');
		WHEN 13 THEN PERFORM key_vault.require(u, 'perplexity');
		WHEN 14 THEN PERFORM key_vault.require(u, 'gemini');
		WHEN 15 THEN PERFORM key_vault.get_all(u);
		WHEN 16 THEN PERFORM key_vault.get_all('user_tampered');
		WHEN 17 THEN PERFORM key_vault.list(u);
		WHEN 18 THEN PERFORM key_vault.versions(u, 'gemini');
		WHEN 19 THEN PERFORM key_vault.rollback(u, 'gemini', 1);
		WHEN 20 THEN PERFORM key_vault.set(u, 'exa', v), key_vault.delete(u, 'exa');
		WHEN 21 THEN PERFORM key_vault.source(u, 'gemini');
		WHEN 22 THEN PERFORM key_vault.record_usage(u, 'gemini', cost => 0.5);
		WHEN 23 THEN PERFORM key_vault.record_usage(u, 'gemini', cost => -1);
		WHEN 24 THEN PERFORM set_config('key_vault.user_id', u, true), key_vault.get(NULL, 'gemini'), set_config('key_vault.user_id', '', true);
		WHEN 25 THEN PERFORM key_vault.get(u, 'gemini') || 1 / (n - n);
		WHEN 26 THEN EXECUTE format('SELECT key_vault.set(%L, %L, %L)', u, 'gemini', v);
		WHEN 27 THEN EXECUTE format('SELECT key_vault.set(%L, %L, %L) FRM x', u, 'gemini', v);
		ELSE PERFORM key_vault.get(u, 'gemini');
	END CASE;
END
$$ LANGUAGE plpgsql;
CREATE FUNCTION many_calls(first int, last int) RETURNS jsonb AS $$
DECLARE
	states jsonb := '{}';
	state  text;
BEGIN
	FOR n IN first .. last LOOP
		BEGIN
			PERFORM one_call('user_' || 1 + n % 3, n);
			state := 'ok';
		EXCEPTION WHEN OTHERS THEN
			state := sqlstate;
		END;
		states := jsonb_set(states, ARRAY[state], to_jsonb(1 + coalesce((states ->> state)::int, 0)));
	END LOOP;
	RETURN states;
END
$$ LANGUAGE plpgsql;
SQL
$super->run('SET client_min_messages = error');
$_->run('SET client_min_messages = error') for $service, $tenant;
my %workers = (service => $service, tenant => $tenant, super => $super);
my @turns = qw(service tenant service super);
my %worked;
for my $batch (0 .. 99)
{
	my $turn = $turns[ $batch % @turns ];
	$super->run($turn eq 'super' ? @planners_way : @straight_way);
	my $got = $workers{$turn}->value('SELECT many_calls($1, $2)', 1000 * $batch + 1, 1000 * ($batch + 1));
	my %times = $got =~ /"(\w+)": (\d+)/g;
	$worked{$turn} += $times{ok} // 0;
	while (my ($state, $times) = each %times)
	{
		$states{$state} += $times;
		$calls += $times;
	}
}
cmp_ok($calls, '>', 100_000, 'calls were made');
cmp_ok($worked{$_}, '>', 1000, "calls of $_ worked") for sort keys %workers;
my $result = call($service, q{SELECT key_vault.get('user_50', 'gemini')});
like($result->{rows}[0][0], qr/^AIza-/, 'after all that, a get works');

$_->close for $super, $service, $tenant, $by_token;
note sprintf '%d calls in %.0f s: %s', $calls, time - $start, join ', ', map { "$_ $states{$_}" } sort keys %states;
cmp_ok($states{ok}, '>', 1000, 'calls that worked');
cmp_ok($states{$_} // 0, '>', 0, "calls that failed with $_") for qw(22012 22023 28000 42501 42601 42704 55000 57014 F0000 P0002 XX001);

is(system('pg_ctl', '-w', '-t', '180', '-D', $node->data_dir, '-m', 'fast', 'stop'), 0, 'the server stops');
$node->_update_pid(-1);

# --- What valgrind says

my @reports = glob("$folder/*.xml");
cmp_ok(scalar @reports, '>', 5, 'processes were watched');
my ($all, %kinds, @ours) = (0);
for my $report (@reports)
{
	for my $error (slurp_file($report) =~ m{<error>.*?</error>}sg)
	{
		my ($kind) = $error =~ m{<kind>(\w+)</kind>};
		$all++;
		next unless $error =~ m{<obj>[^<]*/key_vault\.so</obj>};
		$kinds{$kind}++;
		my @frames = map { my ($fn) = m{<fn>(.*?)</fn>}; my ($at) = m{<line>(\d+)</line>}; ($fn // '?') . (defined $at ? ":$at" : '') }
		  $error =~ m{<frame>.*?</frame>}sg;
		push @ours, "$kind: " . join(' < ', @frames[ 0 .. ($#frames < 14 ? $#frames : 14) ]);
	}
}
my %seen;
@ours = grep { !$seen{$_}++ } @ours;
note "$all reports, of which through key_vault: " . (join(', ', map { "$kinds{$_} $_" } sort keys %kinds) || 'none');
is_deeply(\@ours, [], 'none of them is key_vault\'s') or diag(join "\n\n", @ours[ 0 .. ($#ours < 9 ? $#ours : 9) ]);

done_testing();
