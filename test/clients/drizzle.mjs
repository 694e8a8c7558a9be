// Drizzle, on pg.
import { drizzle } from 'drizzle-orm/node-postgres';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import { config, describe, MARKER, report } from './client_lines.mjs';

const pool = new pg.Pool(config);
pool.on('error', () => {});
const logged = [];
const db = drizzle(pool, { logger: { logQuery: (text, parameters) => logged.push(text, ...parameters) } });

// Drizzle's own template, out of a text with $1
const query = (text, parameters) => {
  const [head, tail] = text.split('$1');
  return tail === undefined ? sql.raw(text) : sql`${sql.raw(head)}${parameters[0]}${sql.raw(tail)}`;
};
const first = (result) => result.rows[0].v;

let shown;
try {
  await db.execute(sql`SELECT key_vault.set('user_a', 'nonesuch', ${MARKER})`);
} catch (error) {
  shown = error.message;
}
if (!shown.includes(MARKER)) throw new Error(`the exception shows no parameters: ${shown}`);
if (!logged.includes(MARKER)) throw new Error('its log shows no parameters');
console.log('trap: Drizzle: its log and its exceptions show parameters');

await report({
  identity: 'db.transaction(tx => ...)',
  mark: (n) => `$${n}`,
  value: async (text, ...parameters) => first(await db.execute(query(text, parameters))),
  valueAs: (userId, text, ...parameters) => db.transaction(async (tx) => {
    await tx.execute(sql`SELECT set_config('key_vault.user_id', ${userId}, true)`);
    return first(await tx.execute(query(text, parameters)));
  }),
  connect: (port) => drizzle(new pg.Pool({ ...config, port })).execute(sql`SELECT 1`),
  // what the server said is the cause
  describe: (error) => [describe(error.cause ?? error)[0], error.constructor.name],
});
await pool.end();
