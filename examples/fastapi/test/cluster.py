"""A throwaway PostgreSQL server with key_vault, reached by a socket in its own folder."""

import os
import subprocess
from pathlib import Path


class Cluster:
    def __init__(self, folder: Path, dotenv: Path, secret: str):
        self.bin = Path(subprocess.check_output([os.environ["PG_CONFIG"], "--bindir"], text=True).strip())
        self.data = folder / "data"
        self.socket = folder / "sock"
        self.log = folder / "postgresql.log"
        self.dotenv = dotenv
        self.socket.mkdir(mode=0o700)
        self.environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8", "JWT_SECRET": secret}
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        with open(self.data / "postgresql.conf", "a") as conf:
            conf.write(
                f"listen_addresses = ''\nunix_socket_directories = '{self.socket}'\nfsync = off\n"
                f"shared_preload_libraries = 'key_vault'\n"
                f"key_vault.track_last_use = on\n"
                f"key_vault.keyring_file = '{folder}/%d.keyring'\nkey_vault.dotenv_file = '{dotenv}'\n"
            )
            if os.environ.get("TEMP_CONFIG"):
                conf.write(Path(os.environ["TEMP_CONFIG"]).read_text())
        self.start()
        self.sql("CREATE DATABASE blog", database="postgres")

    def _run(self, program, *arguments, **options):
        # What PostgreSQL starts keeps the output open, so no pipes
        with open(self.log, "a") as log:
            subprocess.run(
                [self.bin / program, *arguments], env=self.environment, stdout=log, stderr=log, check=True, **options
            )

    def start(self):
        self._run("pg_ctl", "-D", self.data, "-w", "start")

    def stop(self, how="fast"):
        self._run("pg_ctl", "-D", self.data, "-m", how, "-w", "stop")

    def url(self, user):
        return f"postgresql://{user}@/blog?host={self.socket}"

    def psql(self, user, *arguments, database="blog"):
        """What psql says, notices included."""
        done = subprocess.run(
            [self.bin / "psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-h", self.socket, "-U", user, "-d", database, *arguments],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stdout)
        return done.stdout.strip()

    def sql(self, sql, database="blog"):
        return self.psql("postgres", "-c", sql, database=database)
