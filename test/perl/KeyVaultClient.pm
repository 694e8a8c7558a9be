# A client that speaks PostgreSQL's protocol itself: keys are bound as parameters, as
# an application binds them, and several sessions can be in the middle of a statement
# at once.  No server version's psql does both.
package KeyVaultClient;

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use PostgreSQL::Test::Utils;

# connect(host => folder or address, port =>, user =>, dbname =>, options => PGOPTIONS)
# Dies when the server refuses; attempt() returns a closed client instead.
sub connect
{
	my $self = attempt(@_);
	die "could not connect: $self->{greeting}{error}{message}\n" if $self->{closed};
	return $self;
}

sub attempt
{
	my ($class, %option) = @_;
	my $self = bless { %option, buffer => '', closed => 0, parameters => {} }, $class;
	$self->{socket} = $self->_open_socket;

	my $startup = pack('N', 196608);
	$startup .= "user\0$option{user}\0database\0$option{dbname}\0";
	$startup .= "client_encoding\0" . ($option{client_encoding} // 'UTF8') . "\0";
	$startup .= "options\0$option{options}\0" if defined $option{options};
	$startup .= "\0";
	$self->_write(pack('N', 4 + length $startup) . $startup);
	$self->{greeting} = $self->receive;
	return $self;
}

sub _open_socket
{
	my ($self) = @_;
	my $socket =
	  $self->{host} =~ m{^/}
	  ? IO::Socket::UNIX->new(Peer => "$self->{host}/.s.PGSQL.$self->{port}")
	  : IO::Socket::INET->new(PeerAddr => $self->{host}, PeerPort => $self->{port});
	return $socket // die "could not reach the server in $self->{host}: $!\n";
}

sub _write
{
	my ($self, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';
	while (length $bytes)
	{
		my $written = syswrite($self->{socket}, $bytes);
		last unless defined $written;    # reading tells why
		substr($bytes, 0, $written) = '';
	}
	return;
}

sub _message
{
	my ($type, $body) = @_;
	return $type . pack('N', 4 + length $body) . $body;
}

# Runs one statement with bound parameters and returns its result:
# { rows => [[...]], error => undef or message, notices => [messages], tag => }, where a
# message is { severity, state, message, detail, hint, context, ... }.
sub query
{
	my ($self, $sql, @parameters) = @_;
	$self->send($sql, @parameters);
	return $self->receive;
}

# As query, but does not wait for the result.
sub send
{
	my ($self, $sql, @parameters) = @_;
	$self->_write(_parse('', $sql) . _execute('', @parameters) . _message('S', ''));
	return;
}

sub _parse
{
	my ($name, $sql) = @_;
	return _message('P', "$name\0$sql\0\0\0");
}

sub _execute
{
	my ($name, @parameters) = @_;
	my $bind = "\0$name\0" . pack('nn', 0, scalar @parameters);
	$bind .= defined $_ ? pack('N', length $_) . $_ : pack('N', 0xffffffff) for @parameters;
	$bind .= pack('n', 0);
	return _message('B', $bind) . _message('D', "P\0") . _message('E', "\0" . pack('N', 0));
}

# As send, by the protocol named: simple, extended, named (a prepared statement that has a
# name), pipeline (behind other statements, with one Sync for all).
sub send_by
{
	my ($self, $protocol, $sql, @parameters) = @_;
	if ($protocol eq 'simple')
	{
		$self->_write(_message('Q', "$sql\0"));
	}
	elsif ($protocol eq 'named')
	{
		$self->_write(_message('C', "Snamed\0") . _parse('named', $sql) . _message('S', ''));
		my $prepared = $self->receive;
		$self->_write($prepared->{error} ? _parse('', $sql) . _message('S', '') : _execute('named', @parameters) . _message('S', ''));
	}
	elsif ($protocol eq 'pipeline')
	{
		$self->_write(_parse('', 'SELECT 1') . _execute('') . _parse('', $sql) . _execute('', @parameters)
			  . _parse('', 'SELECT 2') . _execute('') . _message('S', ''));
	}
	else
	{
		$self->send($sql, @parameters);
	}
	return;
}

# Runs statements, each [SQL, parameters], in one transaction: one Sync for all.  The rows are
# those of all.
sub pipeline
{
	my ($self, @statements) = @_;
	$self->_write(join('', map { my ($sql, @parameters) = @$_; _parse('', $sql) . _execute('', @parameters) } @statements) . _message('S', ''));
	return $self->receive;
}

# Calls a function by its OID, without a statement, in the same transaction as what stands before
# it: statements, each [SQL, parameters].  The rows are those of all, and the result of the call.
# From 18 on the call does not end that transaction: the next statement's Sync does.
sub call_behind
{
	my ($self, $statements, $oid, @arguments) = @_;
	my $call = pack('Nnn', $oid, 0, scalar @arguments) . join('', map { pack('N', length $_) . $_ } @arguments) . pack('n', 0);
	$self->_write(join('', map { my ($sql, @parameters) = @$_; _parse('', $sql) . _execute('', @parameters) } @$statements) . _message('F', $call));
	my $result = $self->receive;
	$self->query('SELECT 1');
	return $result;
}

# Prepares a statement under a name, as drivers do, and runs one that is prepared.
sub prepare
{
	my ($self, $name, $sql) = @_;
	$self->_write(_parse($name, $sql) . _message('S', ''));
	return $self->receive;
}

sub execute_prepared
{
	my ($self, $name, @parameters) = @_;
	$self->_write(_execute($name, @parameters) . _message('S', ''));
	return $self->receive;
}

# Runs statements as one simple query, without parameters.
sub simple
{
	my ($self, $sql) = @_;
	$self->_write(_message('Q', "$sql\0"));
	return $self->receive;
}

# Runs COPY ... FROM STDIN with its data, by the simple protocol or the extended one.
sub copy
{
	my ($self, @copy) = @_;
	$self->send_copy(@copy);
	return $self->receive;
}

# As copy, but does not wait for the result.
sub send_copy
{
	my ($self, $sql, $data, $protocol) = @_;
	my $extended = ($protocol // '') eq 'extended';
	$self->_write(($extended ? _parse('', $sql) . _execute('') : _message('Q', "$sql\0"))
		. _message('d', $data) . _message('c', '') . ($extended ? _message('S', '') : ''));
	return;
}

# Waits for the result of what was sent.
sub receive
{
	my ($self) = @_;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	my $result;
	until ($result = $self->ready)
	{
		die "timed out waiting for the server\n" if time > $deadline;
		IO::Select->new($self->{socket})->can_read(1);
	}
	return $result;
}

# The result, if it is complete, without waiting; else undef.
sub ready
{
	my ($self) = @_;
	$self->_fill;
	$self->{pending} //= { rows => [], notices => [], error => undef, tag => undef };
	while (defined(my $message = $self->_next_message))
	{
		return delete $self->{pending} if $self->_take(@$message);
	}
	return undef unless $self->{closed};
	$self->{pending}{error} //= { severity => 'FATAL', state => '08006', message => 'the connection is closed' };
	return delete $self->{pending};
}

# Reads what has arrived.
sub _fill
{
	my ($self) = @_;
	while (!$self->{closed} && IO::Select->new($self->{socket})->can_read(0))
	{
		my $got = sysread($self->{socket}, $self->{buffer}, 65536, length $self->{buffer});
		$self->{closed} = 1 unless $got;
	}
	return;
}

sub _next_message
{
	my ($self) = @_;
	return undef if length $self->{buffer} < 5;
	my ($type, $length) = unpack('aN', $self->{buffer});
	return undef if length $self->{buffer} < 1 + $length;
	my $body = substr($self->{buffer}, 5, $length - 4);
	substr($self->{buffer}, 0, 1 + $length) = '';
	return [ $type, $body ];
}

# Whether the message ends the result.
sub _take
{
	my ($self, $type, $body) = @_;
	my $result = $self->{pending};
	if ($type eq 'Z') { return 1; }
	elsif ($type eq 'D') { push @{ $result->{rows} }, _row($body); }
	elsif ($type eq 'V') { push @{ $result->{rows} }, _row("\0\1$body"); }
	elsif ($type eq 'C') { ($result->{tag}) = unpack('Z*', $body); }
	elsif ($type eq 'E') { $result->{error} //= _fields($body); }
	elsif ($type eq 'N') { push @{ $result->{notices} }, _fields($body); }
	elsif ($type eq 'K') { ($self->{pid}) = unpack('N', $body); }
	elsif ($type eq 'S') { my ($name, $value) = unpack('Z*Z*', $body); $self->{parameters}{$name} = $value; }
	elsif ($type eq 'R' && unpack('N', $body) != 0) { die "the server asks for a password\n"; }
	return 0;
}

sub _row
{
	my ($body) = @_;
	my $count = unpack('n', $body);
	my $at = 2;
	my @values;
	for (1 .. $count)
	{
		my $length = unpack('N', substr($body, $at, 4));
		$at += 4;
		push @values, $length == 0xffffffff ? undef : substr($body, $at, $length);
		$at += $length unless $length == 0xffffffff;
	}
	return \@values;
}

my %field_names = (
	V => 'severity', C => 'state', M => 'message', D => 'detail', H => 'hint',
	W => 'context', q => 'internal_query', s => 'schema', t => 'table', n => 'constraint');

sub _fields
{
	my ($body) = @_;
	my %message;
	while ($body =~ /\G([^\0])([^\0]*)\0/g)
	{
		$message{ $field_names{$1} // $1 } = $2;
	}
	return \%message;
}

# The first column of the only row; dies on an error.
sub value
{
	my ($self, $sql, @parameters) = @_;
	my $result = $self->query($sql, @parameters);
	die "$sql: $result->{error}{state}: $result->{error}{message}\n" if $result->{error};
	return undef unless @{ $result->{rows} };
	return $result->{rows}[0][0];
}

# Runs statements that must succeed.
sub run
{
	my ($self, @statements) = @_;
	for my $sql (@statements)
	{
		my $result = $self->simple($sql);
		die "$sql: $result->{error}{state}: $result->{error}{message}\n" if $result->{error};
	}
	return;
}

# What became of a statement, on one line: its SQLSTATE, or the first value.
sub outcome
{
	my ($self, $sql, @parameters) = @_;
	my $result = $self->query($sql, @parameters);
	return $result->{error}{state} if $result->{error};
	return 'no row' unless @{ $result->{rows} };
	return $result->{rows}[0][0] // 'NULL';
}

sub pid
{
	my ($self) = @_;
	return $self->{pid};
}

sub socket
{
	my ($self) = @_;
	return $self->{socket};
}

sub close
{
	my ($self) = @_;
	$self->_write(_message('X', ''));
	$self->{socket}->close;
	$self->{closed} = 1;
	return;
}

1;
