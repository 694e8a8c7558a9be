# pg, for Ruby.
require 'pg'

USER = 42
UUID_USER = '00000000-0000-4000-8000-000000000042'
MARKER = 'stands-in-the-text'
$conn = PG.connect

def value(sql, *parameters) = $conn.exec_params(sql, parameters).getvalue(0, 0)

def value_as(user_id, sql, *parameters)
  $conn.transaction do
    $conn.exec_params("SELECT set_config('key_vault.user_id', $1, true)", [user_id])
    value(sql, *parameters)
  end
end

def error_of
  yield
  'no error'
rescue PG::Error => e
  "#{e.result&.error_field(PG::PG_DIAG_SQLSTATE) || '-'} #{e.class}"
end

def how_to_pass(user_id)
  ways = { 'as it is' => ['$1', user_id], 'with ::text' => ['$1::text', user_id], 'as a string' => ['$1', user_id.to_s] }
  ways.each do |name, (placeholder, passed)|
    return name if value("SELECT key_vault.get(#{placeholder}, 'gemini')", passed) == "key-of-#{user_id}"
  rescue PG::Error, TypeError
    next
  end
  'not at all'
end

puts "parameters: #{value('SELECT current_query() FROM (SELECT $1::text) AS q', MARKER).include?(MARKER) ? 'text' : 'bound'}"
puts 'identity: conn.transaction do'
raise 'not the user\'s key' unless value_as(USER.to_s, 'SELECT key_vault.get(NULL, $1)', 'gemini') == "key-of-#{USER}"
raise 'the identity outlives its transaction' unless value("SELECT current_setting('key_vault.user_id', true)").to_s.empty?
puts "integer: #{how_to_pass(USER)}"
puts "uuid: #{how_to_pass(UUID_USER)}"
puts "jsonb: #{value_as(USER.to_s, 'SELECT key_vault.get_all(NULL)').class}"
puts "get: #{value_as('nobody', 'SELECT key_vault.get(NULL, $1)', 'gemini').inspect}"
puts "require: #{error_of { value_as('nobody', 'SELECT key_vault.require(NULL, $1)', 'gemini') }}"
puts "refused: #{error_of { value_as('nobody', "SELECT key_vault.get($1, 'gemini')", USER.to_s) }}"
puts "stopped: #{error_of { value('SELECT pg_terminate_backend(pg_backend_pid())') }}"
puts "unreachable: #{error_of { PG.connect(port: 1) }}"
