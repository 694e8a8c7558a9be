// postgres.js.
import postgres from 'postgres';
import { config, describe, report } from './client_lines.mjs';

const options = (port) => ({ ...config, username: config.user, port, max: 2, onnotice: () => {}, connect_timeout: 5 });
const sql = postgres(options(config.port));

await report({
  identity: 'sql.begin(sql => ...)',
  mark: (n) => `$${n}`,
  value: async (text, ...parameters) => (await sql.unsafe(text, parameters))[0].v,
  valueAs: (userId, text, ...parameters) => sql.begin(async (tx) => {
    await tx`SELECT set_config('key_vault.user_id', ${userId}, true)`;
    return (await tx.unsafe(text, parameters))[0].v;
  }),
  connect: (port) => postgres(options(port))`SELECT 1`,
  describe,
});
await sql.end({ timeout: 1 });
