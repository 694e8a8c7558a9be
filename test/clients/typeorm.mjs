// TypeORM, on pg; the version that package.json has under the name given.
import 'reflect-metadata';
import { config, describe, report } from './client_lines.mjs';

const { DataSource } = await import(process.argv[2]);
const made = (port) => new DataSource({ type: 'postgres', ...config, username: config.user, port, poolErrorHandler: () => {} });
const db = await made(config.port).initialize();
const first = (rows) => rows[0].v;

await report({
  identity: 'db.transaction(manager => ...)',
  mark: (n) => `$${n}`,
  value: async (sql, ...parameters) => first(await db.query(sql, parameters)),
  valueAs: (userId, sql, ...parameters) => db.transaction(async (manager) => {
    await manager.query("SELECT set_config('key_vault.user_id', $1, true)", [userId]);
    return first(await manager.query(sql, parameters));
  }),
  connect: (port) => made(port).initialize(),
  describe: (error) => [describe(error.driverError ?? error)[0], error.constructor.name],
});
await db.destroy();
