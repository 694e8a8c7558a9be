// pg (node-postgres).
import pg from 'pg';
import { config, describe, report } from './client_lines.mjs';

const pool = new pg.Pool(config);
pool.on('error', () => {});     // an idle connection that breaks

const first = (result) => result.rows[0].v;

async function valueAs(userId, sql, ...parameters) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query("SELECT set_config('key_vault.user_id', $1, true)", [userId]);
    const value = first(await client.query(sql, parameters));
    await client.query('COMMIT');
    return value;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

await report({
  identity: "BEGIN on a client of the pool",
  mark: (n) => `$${n}`,
  value: async (sql, ...parameters) => first(await pool.query(sql, parameters)),
  valueAs,
  connect: (port) => new pg.Client({ ...config, port }).connect(),
  describe,
});
await pool.end();
