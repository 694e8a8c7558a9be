# The .md files as text: their lines, links and messages, and who runs their blocks.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultDocs;
use PostgreSQL::Test::Utils;
use Test::More;

my @files = doc_files();
cmp_ok(scalar @files, '>', 12, 'there are files');
my %blocks = map { $_ => [ doc_blocks($_) ] } @files;

# --- Lines

my @long = map { my $file = $_; my $n = 0; map { $n++; length > 161 ? "$file:$n" : () } split /^/, doc_text($file) } @files;
is_deeply(\@long, [], 'no line has more than 160 characters');
my $lines = () = doc_text('README.md') =~ /\n/g;
cmp_ok($lines, '<=', 250, 'the README has at most 250 lines');

# --- Links

# A heading's anchor, as GitHub makes it.
sub anchor
{
	my ($heading) = @_;
	$heading =~ s/\[([^\]]*)\]\([^)]*\)/$1/g;
	return lc($heading) =~ s/[^\w\- ]//gr =~ s/ /-/gr;
}

# A file without its blocks.
sub prose
{
	my ($file) = @_;
	return doc_text($file) =~ s/^ *```.*?^ *```$//msgr;
}

my %anchors = map { my $file = $_; $file => { map { anchor($_) => 1 } prose($file) =~ /^#+ (.*)$/mg } } @files;
my @broken;
my $links = 0;
for my $file (@files)
{
	my ($folder) = $file =~ m{^(.*/)?};
	for my $link (prose($file) =~ s/(`+)[^`].*?\g1(?!`)/`/gsr =~ /\]\(([^)\s]+)\)|<img [^>]*src="([^"]+)"|srcset="([^"]+)"/g)
	{
		next if !defined $link || $link =~ /^https?:/;
		$links++;
		my ($path, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
		my $target = $path eq '' ? $file : ($folder // '') . $path;
		1 while $target =~ s{(^|/)(?!\.\./)[^/]+/\.\./}{$1};
		push @broken, "$file: $link" if !-e doc_root() . "/$target" || defined $anchor && !$anchors{$target}{$anchor};
	}
}
cmp_ok($links, '>', 50, 'there are links');
is_deeply(\@broken, [], 'every link to a file or a heading leads there');

# --- Who runs the blocks

my %languages = map { $_ => 1 } qw(sql sh python js yaml text);
my %marks = map { $_ => 1 } qw(as fails after on by shows), 'not run';
my (@unknown, @not_run);
for my $block (map { @$_ } @blocks{@files})
{
	my $where = "$block->{file}:$block->{line}";
	my @marks = grep { !/^(file|line|indent|language|text)$/ } keys %$block;
	push @unknown, "$where: language \"$block->{language}\"" if !$languages{ $block->{language} };
	push @unknown, "$where: $_" for grep { !$marks{$_} } @marks;
	push @unknown, "$where: no test $block->{by}" if defined $block->{by} && !-e "$FindBin::RealBin/$block->{by}" && !-e doc_root() . "/$block->{by}";
	push @unknown, "$where: what a text block shows" if $block->{language} eq 'text' && !defined $block->{shows};
	push @not_run, "$where: $block->{'not run'}" if defined $block->{'not run'};
}
is_deeply(\@unknown, [], 'of each block is known who runs it');
is(scalar @not_run, 8, 'so many blocks are not run') or diag(join "\n", @not_run);

# --- Messages

# What C and SQL say: string literals that stand side by side are one.
sub literals
{
	my ($source) = @_;
	$source =~ s{"\s*\n\s*"}{}g;
	return $source =~ /"((?:[^"\\\n]|\\.)*)"/g;
}
my @said = map { s/\\"/"/gr } map { literals(slurp_file($_)) } map { glob doc_root() . "/src/$_.[ch]" } '*/*', '*/*/*';
my $server = slurp_file(qx(pg_config --bindir) =~ s/\n//r . '/postgres');

# Whether a message is one of ours, or, with what stands for %s filled in, the server's.
sub is_said
{
	my ($message) = @_;
	my $pattern = join '.*', map { quotemeta } split /\.\.\./, $message, -1;
	return 1 if grep { /$pattern/ } @said;
	for my $filled ($message =~ s/"[^"]*"/"%s"/gr, $message =~ s/\bkey_vault\w*/%s/gr, $message =~ s/\.\.\./%s/gr, $message =~ s/"[^"]*"|\.\.\./"%s"/gr)
	{
		return 1 if index($server, $filled) >= 0;
	}
	return 0;
}
my @messages = map { /^\| `([^`]+)` \|/mg } doc_section('docs/troubleshooting.md', 'Messages');
cmp_ok(scalar @messages, '>=', 10, 'there are messages');
is_deeply([ grep { !is_said($_) } @messages ], [], 'each message is said by key_vault or by PostgreSQL');
is(is_said('the vault is on fire'), 0, 'and what nobody says is found out');

done_testing();
