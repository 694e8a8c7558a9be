# What tests read out of the .md files: the files, their blocks of commands, their sections.
#
# A comment right above a block says who runs it.  Without one 095_readme.pl does, as a superuser.
#     <!-- as: ROLE, fails: SQLSTATE ... -->   095_readme.pl, as that role; it raises these errors
#     <!-- after: HEADING -->                  the same, when the blocks below that heading have run
#     <!-- on: SERVER -->                      085_operating.pl, on that server; 082_pg_upgrade.pl for "newer"
#     <!-- by: FILE -->                        that test
#     <!-- shows: COMMAND -->                  what the command prints, which scripts/check.sh compares
#     <!-- not run: REASON -->                 nobody; 094_docs_text.pl counts these
package KeyVaultDocs;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use PostgreSQL::Test::Utils;

our @EXPORT = qw(doc_root doc_files doc_text doc_blocks blocks_by doc_section);

my $root = dirname(__FILE__) . '/../..';

sub doc_root { return $root; }

# All .md files, README.md first, as paths from the top.
sub doc_files
{
	my @files = map { substr $_, 1 + length $root } map { sort glob "$root/$_" } qw(README.md docs/*.md [A-QS-Z]*.md */*/README.md */*/*/README.md);
	return grep { !m{/(node_modules|build)/} } @files;
}

sub doc_text
{
	my ($file) = @_;
	return slurp_file("$root/$file");
}

# The blocks of a file, in order: file, line, language, text, and what the comment above says, as {key => value}.
sub doc_blocks
{
	my ($file) = @_;
	my (@blocks, $block, %mark);
	my $number = 0;
	for my $line (split /^/, doc_text($file))
	{
		$number++;
		if (defined $block)
		{
			if ($line =~ /^ *```\s*$/) { push @blocks, $block; undef $block; next; }
			$block->{text} .= $line =~ s/^ {0,$block->{indent}}//r;
		}
		elsif ($line =~ /^( *)(?:```|~~~)(\w*)/)
		{
			$block = { file => $file, line => $number, indent => length $1, language => $2, text => '', %mark };
			%mark = ();
		}
		elsif ($line =~ /^ *<!-- (.*) -->$/)
		{
			%mark = map { /^([\w ]+): (.*)/ ? ($1 => $2) : ('' => $_) } split /, (?=[\w ]+: )/, $1;
		}
		else { %mark = (); }
	}
	die "$file: a block does not end" if defined $block;
	return @blocks;
}

# The blocks of all files that name this test.
sub blocks_by
{
	my ($test) = @_;
	return grep { ($_->{by} // '') eq $test } map { doc_blocks($_) } doc_files();
}

# What stands below a heading, up to the next one of its level or above.
sub doc_section
{
	my ($file, $heading) = @_;
	my ($level, $section) = doc_text($file) =~ /^(#+) \Q$heading\E\n(.*)/ms or die "$file has no section \"$heading\"";
	my $depth = length $level;
	return $section =~ s/^#{1,$depth} .*//msr;
}

1;
