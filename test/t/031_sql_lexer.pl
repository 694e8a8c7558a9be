# Our scanner of SQL sees the same literals, names and parameters as the server's own: in
# every SQL file of the project, in those of a folder that KV_SQL_CORPUS names (PostgreSQL's
# regression tests, say), and in pieces of them that begin and end anywhere.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $built = PostgreSQL::Test::Utils::tempdir . '/lexer';
system('cp', '-r', "$FindBin::RealBin/../lexer", $built) == 0 or die 'cp failed';
my ($made, $errors) = run_command([ 'make', '-s', '-C', $built, 'with_llvm=no', "KV_SRC=$top/src" ]);
ok(-e "$built/lexer_compare.so", 'the comparison is built') or BAIL_OUT("$made$errors");

my $node = PostgreSQL::Test::Cluster->new('lexers');
$node->init(extra => [ '--encoding=SQL_ASCII', '--locale=C' ]);
$node->append_conf('postgresql.conf', "escape_string_warning = off\n") if $node->pg_version->major < 19;
$node->start;
$node->safe_psql('postgres', <<"END");
CREATE FUNCTION compare_lexers(text) RETURNS text LANGUAGE c AS '$built/lexer_compare';
CREATE FUNCTION compare_wrongly(text) RETURNS text LANGUAGE c AS '$built/lexer_compare';
-- the whole, and pieces: all that a seed makes of it
CREATE FUNCTION differences(sql text, pieces int) RETURNS SETOF text LANGUAGE plpgsql AS \$\$
DECLARE
    n int = length(sql);
    a int;
    piece text;
    difference text;
BEGIN
    FOR i IN 0 .. pieces LOOP
        a := 1 + floor(random() * n)::int;
        piece := CASE WHEN i = 0 THEN sql ELSE substr(sql, a, floor(random() * 400)::int) END;
        difference := compare_lexers(piece);
        IF difference IS NOT NULL THEN
            RETURN NEXT difference || ' in: ' || left(piece, 200);
        END IF;
    END LOOP;
END \$\$;
END
my $session = session($node, undef, client_encoding => 'SQL_ASCII');
$session->run('SELECT setseed(0.5)');

my $tricky = <<'END';
SELECT 'a' 'b', 'a'
'b', 'a' -- c
 'b', E'a\'b', e'\\', 'a\', U&'\0041' UESCAPE '!', U&"a'b", N'a', B'01''1', x'1'
'f', $$a$$, $t$a$$b$t$, $t$$t$, $1, $1$$a$$, a$1, a$$b, 1.5, .5, 5., 1e5, 1.e-5, 1..5, a.b.c, a[1:2], "a""b", """", "'",
'/*', '--', /* a /* b */ 'c' */ 'd', a -- b 'c'
, a+-- b
b, a */* c */ b, a@-b, a<>-1, a->>'b', a::text, :a, a:=1, a=>1, 1+1, -1, - -1, a!=-1, 'a'::"b", fooe'a', bar$1$, U&'a', u & 'b', _a, é'é', "é", $é$a$é$, n 'a', b 'a', N
'a'
END

sub is_same
{
	my ($name, $sql, $pieces) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $result = $session->query('SELECT differences($1, $2::int)', $sql, $pieces);
	die "$name: $result->{error}{message}" if $result->{error};
	is_deeply([ map { $_->[0] } @{ $result->{rows} } ], [], $name);
	return;
}

my @files = (glob("$top/sql/*.sql $top/*.sql $top/bench/*.sql"), map { glob "$_/*.sql" } grep { defined } $ENV{KV_SQL_CORPUS});
cmp_ok(scalar @files, '>', 30, 'there are files');
my $pieces = $ENV{KV_LONG} ? 1000 : 100;
my $all = '';
for my $strings ('on', 'off')
{
	next unless $session->query("SET standard_conforming_strings = $strings")->{error} ? $strings eq 'on' : 1;
	is_same("tricky spellings, standard_conforming_strings = $strings", $tricky, 20 * $pieces);
	for my $file (@files)
	{
		(my $sql = slurp_file($file)) =~ tr/\0//d;
		is_same("$file, standard_conforming_strings = $strings", $sql, $pieces);
	}
}

# A test of the test
$session->run('RESET standard_conforming_strings');
outcome_is($session, 'NULL', 'the same is no difference', 'SELECT compare_lexers($1)', q{SELECT 'a\', 'b'});
like($session->value('SELECT compare_wrongly($1)', q{SELECT 'a\', 'b'}), qr/^at /, 'another is one');

done_testing();
