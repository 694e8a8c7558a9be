"""asyncpg."""

import asyncio
import os

import asyncpg

import client_lines

loop = asyncio.new_event_loop()


class Client:
    IDENTITY = "async with conn.transaction()"

    def __init__(self):
        self.conn = self.connect(os.environ["PGPORT"])

    def connect(self, port):
        return loop.run_until_complete(asyncpg.connect(port=int(port)))

    def mark(self, number):
        return f"${number}"

    def value(self, sql, *parameters):
        return loop.run_until_complete(self.conn.fetchval(sql, *parameters))

    def value_as(self, user_id, sql, *parameters):
        async def run():
            async with self.conn.transaction():
                await self.conn.execute("SELECT set_config('key_vault.user_id', $1, true)", user_id)
                return await self.conn.fetchval(sql, *parameters)

        return loop.run_until_complete(run())

    def describe(self, error):
        return getattr(error, "sqlstate", None), client_lines.class_name(error)


client = Client()
try:
    client.value("SELECT key_vault.get($1::text, 'gemini')", client_lines.USER)
except asyncpg.DataError:
    print("trap: asyncpg: it takes no integer for text, even when cast")
client_lines.report(client)
