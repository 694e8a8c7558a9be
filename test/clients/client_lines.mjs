// What each Node client's program prints: one line a fact, `name: value`.  test.sh compares them with docs/drivers.md.
//
// A client has: identity (how a transaction with an identity is written), mark(n) (the placeholder of the nth
// parameter), value(sql, ...parameters) and valueAs(userId, sql, ...parameters) (the first value of the first row, in a
// transaction of its own), connect(port), and describe(error): [SQLSTATE or undefined, the exception's class].

const USER = 42;
const UUID_USER = '00000000-0000-4000-8000-000000000042';
export const MARKER = 'stands-in-the-text';

export const config = {
  host: process.env.PGHOST, port: Number(process.env.PGPORT), user: process.env.PGUSER,
  password: process.env.PGPASSWORD, database: process.env.PGDATABASE,
};

// pg's own errors have the SQLSTATE in code, as those of the system have theirs.
export const describe = (error) => [/^[0-9A-Z]{5}$/.test(error.code ?? '') ? error.code : undefined, error.constructor.name];

async function errorOf(client, call) {
  try {
    await call();
  } catch (error) {
    const [state, name] = client.describe(error);
    return `${state ?? '-'} ${name}`;
  }
  return 'no error';
}

// What an id that is no text needs.
async function howToPass(client, userId) {
  const ways = {
    'as it is': [client.mark(1), userId],
    'with ::text': [`CAST(${client.mark(1)} AS text)`, userId],
    'as a string': [client.mark(1), String(userId)],
  };
  for (const [name, [placeholder, passed]] of Object.entries(ways)) {
    try {
      if (await client.value(`SELECT key_vault.get(${placeholder}, 'gemini') AS v`, passed) === `key-of-${userId}`) return name;
    } catch {
      // the next way, then
    }
  }
  return 'not at all';
}

export async function report(client) {
  const one = client.mark(1);
  const assert = (holds, what) => { if (!holds) throw new Error(what); };
  const text = await client.value(`SELECT current_query() AS v FROM (SELECT CAST(${one} AS text)) AS q`, MARKER);
  console.log('parameters:', text.includes(MARKER) ? 'text' : 'bound');
  console.log('identity:', client.identity);
  const key = await client.valueAs(String(USER), `SELECT key_vault.get(NULL, ${one}) AS v`, 'gemini');
  assert(key === `key-of-${USER}`, `not the user's key: ${key}`);
  assert(!await client.value("SELECT current_setting('key_vault.user_id', true) AS v"), 'the identity outlives its transaction');
  console.log('integer:', await howToPass(client, USER));
  console.log('uuid:', await howToPass(client, UUID_USER));
  console.log('jsonb:', typeof await client.valueAs(String(USER), 'SELECT key_vault.get_all(NULL) AS v'));
  console.log('get:', await client.valueAs('nobody', `SELECT key_vault.get(NULL, ${one}) AS v`, 'gemini'));
  console.log('require:', await errorOf(client, () => client.valueAs('nobody', `SELECT key_vault.require(NULL, ${one}) AS v`, 'gemini')));
  console.log('refused:', await errorOf(client, () => client.valueAs('nobody', `SELECT key_vault.get(${one}, 'gemini') AS v`, String(USER))));
  console.log('stopped:', await errorOf(client, () => client.value('SELECT pg_terminate_backend(pg_backend_pid()) AS v')));
  console.log('unreachable:', await errorOf(client, () => client.connect(1)));
}
