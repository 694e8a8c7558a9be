// Sequelize, on pg.
import { Sequelize, QueryTypes } from 'sequelize';
import { config, describe, MARKER, report } from './client_lines.mjs';

const made = (port, logging = false) => new Sequelize(config.database, config.user, config.password,
  { dialect: 'postgres', host: config.host, port, logging });
const db = made(config.port);
const first = (rows) => rows[0].v;
const query = (sql, parameters, transaction) => db.query(sql, { type: QueryTypes.SELECT, bind: parameters, transaction });

const said = await made(config.port).query('SELECT current_query() AS v, ? AS m', { type: QueryTypes.SELECT, replacements: [MARKER] });
if (!first(said).includes(MARKER)) throw new Error('replacements are bound');
console.log('trap: Sequelize: replacements puts literals into the text, bind does not');

await report({
  identity: 'db.transaction(t => ...)',
  mark: (n) => `$${n}`,
  value: async (sql, ...parameters) => first(await query(sql, parameters)),
  valueAs: (userId, sql, ...parameters) => db.transaction(async (t) => {
    await query("SELECT set_config('key_vault.user_id', $1, true)", [userId], t);
    return first(await query(sql, parameters, t));
  }),
  connect: (port) => made(port).authenticate(),
  describe: (error) => [describe(error.original ?? error)[0], error.constructor.name],
});
await db.close();
