# No setting, way to speak to the server, form of a statement or function brings a key into
# the log, pg_stat_activity or pg_stat_statements; and with redaction off, each of them does:
# a test of the test.  KV_LONG runs every cell of the matrix, else those of all settings
# together and of the defaults.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultLog;
use KeyVaultMatrix;
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($libraries) = run_command([ 'pg_config', '--pkglibdir' ]);
my ($version) = (run_command([ 'pg_config', '--version' ]))[0] =~ /(\d+)/;
my %has = (version => $version, map { ($_ => -e "$libraries/$_.so") } qw(pgaudit auto_explain pg_stat_statements));
my $preload = join ',', 'key_vault', grep { $_ ne 'version' && $has{$_} } sort keys %has;
my $node = new_logging_vault('matrix', preload => "shared_preload_libraries = '$preload'", conf => <<'END');
fsync = off
key_vault.keep_versions = 1
END
$node->safe_psql('postgres', KeyVaultMatrix::matrix_objects());
$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements') if $has{pg_stat_statements};
my $names = KeyVaultMatrix::matrix_names();
$node->safe_psql('postgres', "ALTER SYSTEM SET key_vault.redact_names = '$names'; SELECT pg_reload_conf()");
$node->poll_query_until('postgres', "SELECT current_setting('key_vault.redact_names') = '$names'");
my $observer = session($node);

my $settings = matrix_settings(%has);
my @settings = $ENV{KV_LONG} ? sort keys %$settings : ('defaults', 'all together');
my @protocols = $ENV{KV_LONG} ? @KeyVaultMatrix::protocols : qw(simple extended);

# A session with the settings of a column of the matrix.
sub matrix_session
{
	my ($name, $redact) = @_;
	my $session = session($node);
	$session->run("SET key_vault.redact = $redact");
	my %of_name = %{ $settings->{$name} };
	my $plain = delete $of_name{plain};
	$session->run(map { "SET $_ = '$of_name{$_}'" } sort keys %of_name);
	return ($session, plain => $plain);
}

# What was found of a cell's key in a text.
sub found_of
{
	my ($found, $cell) = @_;
	return scalar grep { $found->{$_} } keys %{ keys_in($cell->{secret}) };
}

# Runs all cells of a protocol, another session looking on in the middle of each that gets so
# far, and emptying pg_stat_statements then: the cells.
sub watch_cells
{
	my ($protocol, $redact) = @_;
	my ($session) = matrix_session('defaults', $redact);
	my @cells = matrix_cells($protocol, nap => 1);
	$session->run('SET matrix.nap = on');
	$observer->value('SELECT pg_advisory_lock($1::int)', NAP_LOCK);
	for my $cell (@cells)
	{
		$cell->{resets} = $has{pg_stat_statements};
		run_cell($session, $cell, $observer);
	}
	$observer->value('SELECT pg_advisory_unlock($1::int)', NAP_LOCK);
	$session->close;
	return grep { defined $_->{seen_meanwhile} } @cells;
}

# The files that pg_stat_statements and the like leave when the server stops, in which keys are.
sub files_with_keys
{
	$node->stop;
	my @files = grep { -f } glob($node->data_dir . '/pg_stat/*');
	my @found = grep { %{ keys_in(slurp_file($_)) } } @files;
	$node->start;
	$observer = session($node);
	return (scalar @files, \@found);
}

# Runs all cells of a setting and a protocol: those, what the log got, and which cells did not
# run as they should.
sub run_cells
{
	my ($name, $protocol, $redact) = @_;
	my ($session, %option) = matrix_session($name, $redact);
	my @cells = matrix_cells($protocol, %option);
	my $position = log_position($node);
	my @odd;
	for my $cell (@cells)
	{
		my @states = run_cell($session, $cell);
		push @odd, "$cell->{name}: @states" if @states != ($cell->{fails} ? 1 : 0);
		$cell->{seen} = activity_of($observer, $session);
	}
	my $since = log_since($node, $position);
	$session->close;
	return (\@cells, $since, \@odd);
}

my $cells_watched = 0;
for my $protocol (@protocols)
{
	my @watched = watch_cells($protocol, 'on');
	is_deeply([ map { $_->{name} } grep { found_of(keys_in($_->{seen_meanwhile}), $_) } @watched ], [], "$protocol: no key in pg_stat_activity while a statement runs");
	cmp_ok(scalar @watched, '>', 80, "$protocol: many do run for a while");
	is_deeply([ keys %{ keys_in(join "\n", map { $_->{kept} // () } @watched) } ], [], "$protocol: nor in pg_stat_statements, when it is emptied meanwhile");
	$cells_watched += @watched;
}

my $cells_run = 0;
for my $name (@settings)
{
	for my $protocol (@protocols)
	{
		my ($cells, $since, $odd) = run_cells($name, $protocol, 'on');
		my %found = map { %{ keys_in($since->{$_}) } } keys %$since;
		is_deeply($odd, [], "$name, $protocol: every cell ends as it should");
		is_deeply([ map { $_->{name} } grep { found_of(\%found, $_) } @$cells ], [], "$name, $protocol: no key in the log");
		is_deeply([ map { $_->{name} } grep { found_of(keys_in($_->{seen}), $_) } @$cells ], [], "$name, $protocol: none in pg_stat_activity");
		is_deeply([ keys %found ], [], "$name, $protocol: none at all");
		$cells_run += @$cells;
	}
}
if ($has{pg_stat_statements})
{
	my $statements = $observer->value('SELECT string_agg(query, chr(10)) FROM pg_stat_statements');
	is_deeply([ keys %{ keys_in($statements) } ], [], 'no key in pg_stat_statements');
	like($statements, qr/SELECT .*key_vault\.set\(\$\d, \$\d, \$\d\)/, 'but calls with bound keys');
}
my ($files, $with_keys) = files_with_keys();
is_deeply($with_keys, [], 'no key in the files of statistics');
cmp_ok($files, '>', 0, 'and there are such files') if $has{pg_stat_statements};

# --- The same with redaction off

my %canaries;    # by setting, protocol, form, function: cells whose key was found
my %runs;
for my $name (@settings)
{
	for my $protocol (@protocols)
	{
		my ($cells, $since) = run_cells($name, $protocol, 'off');
		my %found = map { %{ keys_in($since->{$_}) } } keys %$since;
		for my $cell (@$cells)
		{
			my $shown = found_of(\%found, $cell) > 0;
			for my $part ($name, $protocol, "form $cell->{form}", "function $cell->{function}", "$protocol, form $cell->{form}")
			{
				$runs{$part}++;
				$canaries{$part} += $shown;
			}
		}
	}
}

($files, $with_keys) = files_with_keys();
cmp_ok(scalar @$with_keys, '>', 0, 'they are in the files of statistics') if $has{pg_stat_statements};
my @watched = map { watch_cells($_, 'off') } @protocols;
my %shown = map { ($_->{form} => 1) } grep { found_of(keys_in($_->{seen_meanwhile}), $_) } @watched;
my %hidden = map { ($_->{form} => 1) } grep { !$shown{ $_->{form} } } @watched;
my @unseen = (qw(copy copy_failing cursor cursor_wrapper), map { $_->{form} } grep { $_->{binds} } @watched);
is_deeply([ sort keys %hidden ], [ sort keys %{ { map { ($_ => 1) } @unseen } } ], 'they are in pg_stat_activity, but for forms that do not have them in the text');
ok(%{ keys_in(join "\n", map { $_->{kept} // () } @watched) }, 'they are in pg_stat_statements, when it is emptied meanwhile') if $has{pg_stat_statements};

# These log no text of a statement, and no parameter
my %silent = map { ($_ => 1) } 'log_min_error_statement = fatal', 'log_min_error_statement = panic';
my @empty = sort grep { !$canaries{$_} } keys %runs;
is_deeply([ grep { !$silent{$_} } @empty ], [], 'with redaction off, every setting, protocol, form and function brings keys into the log')
  or diag(explain \@empty);
note("empty with redaction off: $_") for @empty;
my $why = matrix_impossible();
note("$_: not possible: @{ $why->{$_} }") for sort keys %$why;
note('standard_conforming_strings = off: not possible: unicode, and keys with backslashes are left out');
my $canaries = 0;
$canaries += $canaries{$_} for @settings;
note("$cells_watched cells were watched in their middle, $cells_run cells were run with redaction on, and as many off, of which $canaries brought their key into the log");
cmp_ok($canaries, '>', $cells_run / 4, 'with redaction off, many cells do');

done_testing();
