// Knex, on pg.
import knex from 'knex';
import { config, describe, report } from './client_lines.mjs';

const made = (port) => knex({ client: 'pg', connection: { ...config, port }, acquireConnectionTimeout: 5000, pool: { min: 0, max: 2 } });
const db = made(config.port);

await report({
  identity: 'db.transaction(trx => ...)',
  mark: () => '?',
  value: async (sql, ...parameters) => (await db.raw(sql, parameters)).rows[0].v,
  valueAs: (userId, sql, ...parameters) => db.transaction(async (trx) => {
    await trx.raw("SELECT set_config('key_vault.user_id', ?, true)", [userId]);
    return (await trx.raw(sql, parameters)).rows[0].v;
  }),
  connect: (port) => made(port).raw('SELECT 1'),
  describe,
});
await db.destroy();
