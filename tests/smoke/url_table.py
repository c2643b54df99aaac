"""URLs as the pages of providers show them, with what each of them says; passwords are pieces of the word xyzzy."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """A URL, and what must be found: of DatabaseUrl's fields, of a driver's arguments, or of a refusal's words."""

    url: str
    read: dict[str, Any]


NEON = "ep-cool-1.eu-central-1.aws.neon.tech"
AIVEN = "pg-1.aivencloud.com"
CLOUD_SQL = "/cloudsql/project:europe-west3:main"
LOCAL = "postgresql://app@127.0.0.1/app"


def _hosts(*hosts: tuple[str, int]) -> list[list[object]]:
    return [list(host) for host in hosts]


PROVIDERS = {
    "postgresql": [
        Case(  # Neon
            f"postgresql://app:xyzzy@{NEON}/neondb?sslmode=require&channel_binding=require",
            {"hosts": _hosts((NEON, 5432)), "user": "app", "password": "xyzzy", "database": "neondb", "tls": "require"},
        ),
        Case(  # Neon, for clients that do not send the host's name
            f"postgres://app:xyzzy@{NEON}/neondb?options=endpoint%3Dep-cool-1&connect_timeout=10",
            {"parameters": {"options": "endpoint=ep-cool-1"}, "connect_timeout_seconds": 10, "tls": "require"},
        ),
        Case(  # Supabase, its pooler
            "postgresql://postgres.abcd:xyzzy@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true",
            {"user": "postgres.abcd", "transaction_pooling": True, "tls": "require"},
        ),
        Case(  # Supabase, as Prisma is told
            "postgres://postgres.abcd:xyzzy@pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1"
            "&pool_timeout=5&schema=shop",
            {"transaction_pooling": True, "parameters": {"options": "-c search_path=shop"}},
        ),
        Case(  # Heroku, RDS, Render
            "postgres://app:xyzzy@ec2-1.compute-1.amazonaws.com:5432/d1",
            {"hosts": _hosts(("ec2-1.compute-1.amazonaws.com", 5432)), "database": "d1", "tls": "require"},
        ),
        Case("postgresql://postgres:xyzzy@x.proxy.rlwy.net:12345/railway", {"tls": "require"}),  # Railway
        Case(
            "postgresql://app:xyzzy@dpg-abc-a/shop", {"hosts": _hosts(("dpg-abc-a", 5432)), "tls": "require"}
        ),  # Render
        Case("postgres://app:xyzzy@app-db.flycast:5432/app?sslmode=disable", {"tls": "disable"}),  # Fly
        Case(  # DigitalOcean, Aiven
            f"postgres://doadmin:xyzzy@{AIVEN}:25060/defaultdb?sslmode=require", {"tls": "require", "ca_file": None}
        ),
        Case(  # Azure
            "postgresql://app%40server:xyzzy@server.postgres.database.azure.com:5432/app?sslmode=require",
            {"user": "app@server", "tls": "require"},
        ),
        Case(  # PlanetScale
            "postgresql://app:xyzzy@eu.pg.psdb.cloud:6432/app?sslmode=verify-full&sslrootcert=system",
            {"tls": "verify-full", "ca_file": "system"},
        ),
        Case(  # Cloud SQL
            f"postgresql://app:xyzzy@/app?host={CLOUD_SQL}",
            {"hosts": _hosts((CLOUD_SQL, 5432)), "tls": None, "database": "app"},
        ),
        Case(
            "postgresql+psycopg2://app:xyzzy@%2Fcloudsql%2Fproject%3Aeurope-west3%3Amain/app",
            {"hosts": _hosts((CLOUD_SQL, 5432)), "tls": None},
        ),
        Case(
            f"postgresql+pg8000://app:xyzzy@/app?unix_sock={CLOUD_SQL}/.s.PGSQL.5432",
            {"hosts": _hosts((CLOUD_SQL, 5432)), "tls": None},
        ),
    ],
    "mysql": [
        Case(  # PlanetScale
            "mysql://app:xyzzy@aws.connect.psdb.cloud/shop?sslaccept=strict",
            {"hosts": _hosts(("aws.connect.psdb.cloud", 3306)), "tls": "verify-full"},
        ),
        Case('mysql://app:xyzzy@aws.connect.psdb.cloud/shop?ssl={"rejectUnauthorized":true}', {"tls": "verify-full"}),
        Case('mysql://app:xyzzy@db.example/shop?ssl={"rejectUnauthorized":false}', {"tls": "require"}),
        Case("mysql://doadmin:xyzzy@db.ondigitalocean.com:25060/shop?ssl-mode=REQUIRED", {"tls": "require"}),
        Case("mysql://avnadmin:xyzzy@mysql-1.aivencloud.com:12345/shop?ssl-mode=REQUIRED", {"tls": "require"}),
        Case("mysql+pymysql://app:xyzzy@eu.rds.amazonaws.com:3306/shop?charset=utf8mb4", {"tls": "require"}),
        Case("mysql://app:xyzzy@us-cdbr.cleardb.net/shop?reconnect=true", {"tls": "require"}),  # Heroku's ClearDB
        Case("mysql://root:xyzzy@x.proxy.rlwy.net:12345/railway", {"tls": "require"}),  # Railway
        Case(  # Cloud SQL
            f"mysql+asyncmy://app:xyzzy@/shop?unix_socket={CLOUD_SQL}",
            {"hosts": _hosts((CLOUD_SQL, 3306)), "tls": None},
        ),
        Case(f"mysql://app:xyzzy@localhost/shop?socket={CLOUD_SQL}", {"hosts": _hosts((CLOUD_SQL, 3306))}),
    ],
    "mongodb": [
        Case(  # Atlas
            "mongodb+srv://app:xyzzy@cluster0.abcde.mongodb.net/?retryWrites=true&w=majority&appName=Cluster0",
            {"hosts": _hosts(("cluster0.abcde.mongodb.net", 27017)), "tls": "verify-full", "database": ""},
        ),
        Case(  # Atlas, without DNS
            "mongodb://app:xyzzy@a.mongodb.net:27017,b.mongodb.net:27017/shop?ssl=true&replicaSet=atlas-1"
            "&authSource=admin&retryWrites=true&w=majority",
            {"hosts": _hosts(("a.mongodb.net", 27017), ("b.mongodb.net", 27017)), "tls": "verify-full"},
        ),
        Case(  # DigitalOcean
            "mongodb+srv://doadmin:xyzzy@db.mongo.ondigitalocean.com/admin?tls=true&authSource=admin&replicaSet=db",
            {"tls": "verify-full", "database": "admin"},
        ),
        Case(  # DocumentDB, Cosmos DB
            "mongodb://app:xyzzy@shop.mongo.cosmos.azure.com:10255/?ssl=true&replicaSet=globaldb&retrywrites=false"
            "&maxIdleTimeMS=120000&appName=@shop@".replace("@shop@", "%40shop%40"),
            {"tls": "verify-full"},
        ),
        Case("mongodb://mongo:xyzzy@x.proxy.rlwy.net:12345", {"tls": "require", "is_tls_assumed": True}),  # Railway
    ],
    "sqlite": [
        Case("sqlite:////data/app.db", {"database": "/data/app.db", "parameters": {"mode": "rwc"}}),
        Case("sqlite+aiosqlite:///app.db?check_same_thread=false", {"database": "app.db"}),
    ],
}

PARAMETERS = {
    "postgresql": [
        Case(f" \t{LOCAL}\n", {"user": "app", "database": "app", "tls": None}),
        Case("postgresql://app@[::1]:5433/app", {"hosts": _hosts(("::1", 5433)), "tls": None}),
        Case("postgresql://app@[2001:db8::1]/app", {"hosts": _hosts(("2001:db8::1", 5432)), "tls": "require"}),
        Case("postgresql:///app?host=/run/postgresql", {"hosts": _hosts(("/run/postgresql", 5432)), "database": "app"}),
        Case("postgresql:///app", {"hosts": [], "database": "app", "tls": None}),
        Case("postgresql:///app?hostaddr=192.0.2.1", {"hosts": [], "addresses": ["192.0.2.1"], "tls": "require"}),
        Case("postgresql://app@:5433/app", {"hosts": _hosts(("localhost", 5433))}),
        Case("postgresql://app@/app?host=a,b&port=1,2", {"hosts": _hosts(("a", 1), ("b", 2))}),
        Case("postgresql://app@a:1,b:2,c/app", {"hosts": _hosts(("a", 1), ("b", 2), ("c", 5432))}),
        Case(f"{LOCAL}?user=you&password=a%2Bb", {"user": "you", "password": "a+b"}),
        Case("postgresql://app:%25xyzzy%40%3A@127.0.0.1/app", {"password": "%xyzzy@:"}),
        *(Case(f"{LOCAL}?sslmode={mode}", {"tls": mode}) for mode in ("disable", "allow", "prefer", "require")),
        Case("postgresql://app@db/app?ssl=true", {"tls": "verify-full"}),
        Case("postgresql://app@db/app?ssl=false", {"tls": "disable"}),
        Case("postgresql://app@db/app?sslaccept=accept_invalid_certs", {"tls": "require"}),
        Case(f"{LOCAL}?gssencmode=prefer&application_name=x&client_encoding=utf8", {"parameters": {}}),
        Case(
            f"{LOCAL}?options=-c search_path=a&schema=b c",
            {"parameters": {"options": "-c search_path=a -c search_path=b\\ c"}},
        ),
    ],
    "mysql": [
        Case("mariadb://app:xyzzy@127.0.0.1/shop\n", {"tls": None, "hosts": _hosts(("127.0.0.1", 3306))}),
        Case("mysql://app@[::1]:3307/shop", {"hosts": _hosts(("::1", 3307))}),
        Case("mysql://app@db/shop?ssl=true&connection_limit=5", {"tls": "verify-full"}),
        Case("mysql://app@db/shop?ssl=false", {"tls": "disable"}),
        Case("mysql://app@db/shop?tls=skip-verify", {"tls": "require"}),
        Case("mysql://app@127.0.0.1/shop?ssl_mode=VERIFY_IDENTITY&connect_timeout=1", {"connect_timeout_seconds": 1}),
        Case("mysql://app@127.0.0.1/shop?ssl-mode=disabled", {"tls": "disable"}),
    ],
    "mongodb": [
        Case("mongodb://127.0.0.1/app?maxPoolSize=500&minPoolSize=100&waitQueueTimeoutMS=1", {"tls": None}),
        Case("mongodb://[::1]:27018/app?readPreference=secondary", {"hosts": _hosts(("::1", 27018))}),
        Case("mongodb://db/app?tls=false", {"tls": "disable"}),
        Case("mongodb://db/app?w=1&journal=true\n", {"tls": "require"}),
        Case("mongodb://app:xy+zzy@127.0.0.1/app", {"password": "xy+zzy"}),
    ],
    "sqlite": [
        Case("sqlite:///with%20blank.db?mode=rw\n", {"database": "with blank.db", "parameters": {"mode": "rw"}}),
        Case("sqlite:///app.db?mode=ro", {"parameters": {"mode": "ro"}}),
    ],
}

ASYNCPG = [
    Case(
        f"postgresql://app:xyzzy@{NEON}/neondb?sslmode=require&channel_binding=require",
        # The driver knows no channel binding, which proves who the server is: its certificate does.
        {"ssl": "name", "host": [NEON], "port": ["5432"], "password": "xyzzy"} | {"port": [5432]},
    ),
    Case(f"{LOCAL}?sslmode=require&channel_binding=require", {"ssl": "anybody"}),
    Case(f"{LOCAL}?sslmode=prefer", {"ssl": "prefer"}),
    Case(f"{LOCAL}?sslmode=require&sslnegotiation=direct", {"ssl": "anybody", "direct_tls": True}),
    Case("postgresql://app@db/app", {"ssl": "anybody"}),
    Case("postgresql://app@a:1,b:2/app?target_session_attrs=read-write", {"target_session_attrs": "read-write"}),
    Case(f"{LOCAL}?hostaddr=127.0.0.2", {"host": ["127.0.0.2"]}),
    Case("postgresql:///app?hostaddr=127.0.0.2", {"host": ["127.0.0.2"], "port": 5432}),
    Case("postgresql:///app?hostaddr=192.0.2.1&sslmode=verify-full", {"host": ["192.0.2.1"], "ssl": "name"}),
    Case("postgresql://db/app?hostaddr=192.0.2.1&sslmode=verify-full", {"host": ["db"], "ssl": "name"}),
    Case("postgresql://db/app?hostaddr=192.0.2.1&sslmode=require", {"host": ["192.0.2.1"], "ssl": "anybody"}),
    Case(f"{LOCAL}?connect_timeout=1", {"timeout": 1}),
    Case(f"{LOCAL}?connect_timeout=100", {"timeout": 5}),  # the plan's
    Case("postgresql://app@127.0.0.1/app?pgbouncer=true", {"statement_cache_size": 0}),
]

PSYCOPG = [
    Case(
        f"postgresql://app:xyzzy@{NEON}/neondb?sslmode=require&channel_binding=require",
        {"sslmode": "require", "channel_binding": "require", "host": NEON, "port": "5432", "password": "xyzzy"},
    ),
    Case("postgresql://app@db/app", {"sslmode": "require", "sslrootcert": None}),
    Case("postgresql://app@db/app?ssl=true", {"sslmode": "verify-full", "sslrootcert": "system"}),
    Case("postgresql://app@db/app?sslmode=verify-full&sslrootcert=system", {"sslrootcert": "system"}),
    Case("postgresql://app@a:1,b:2/app?target_session_attrs=read-write", {"host": "a,b", "port": "1,2"}),
    Case(f"{LOCAL}?hostaddr=127.0.0.2&keepalives_idle=30", {"hostaddr": "127.0.0.2", "keepalives_idle": "30"}),
    Case(
        f"{LOCAL}?options=-c search_path=a", {"options": "-c search_path=a -c statement_timeout=15000 -c TimeZone=UTC"}
    ),
    Case(f"{LOCAL}?connect_timeout=1", {"connect_timeout": 1}),
    Case("postgresql://app@127.0.0.1/app?pgbouncer=true", {"prepare_threshold": None}),
]


def _refused(url: str, said: str) -> Case:
    return Case(url, {"said": said})


ENCODE = "cannot be read: percent-encode the special characters of its password"
PORT = "has no valid port: is its password percent-encoded?"

REFUSED = {
    "postgresql": [
        _refused("mysql://app@db/app", "starts with postgresql:// or postgres://, not mysql://"),
        _refused("postgresql:/app", "starts with postgresql:// or postgres://"),
        _refused("postgresql://app:xy@zzy@db/app", ENCODE),
        _refused("postgresql://app:xy/zzy@db/app", ENCODE),
        _refused("postgresql://app:xy?zzy@db/app", ENCODE),
        _refused("postgresql://app:xy@a?b=zzy@db/app", ENCODE),
        _refused("postgresql://app:xy#zzy@db/app", ENCODE),
        _refused("postgresql://app:[xyzzy]@db/app", ENCODE),
        _refused("postgresql://app@db:xyzzy/app", PORT),
        _refused("postgresql://app@db:99999/app", PORT),
        _refused("postgresql://app@::1/app", "an IPv6 address stands in brackets"),
        _refused("postgresql://app@db/a#b", "written %23"),
        _refused(f"{LOCAL}?sslmode=on", "sslmode, which is one of disable, allow, prefer"),
        _refused(f"{LOCAL}?sslmodee=require", "sslmodee: write sslmode"),
        _refused(f"{LOCAL}?statement_timeout=5", "statement_timeout: set STATEMENT_TIMEOUT_SECONDS"),
        _refused(f"{LOCAL}?pool_size=5", "pool_size: set POOL_SIZE"),
        _refused(f"{LOCAL}?statement_cache_size=0", "statement_cache_size: write pgbouncer=true"),
        _refused(f"{LOCAL}?dbname=x", "dbname: write the database after the host, as /NAME"),
        _refused(f"{LOCAL}?gssencmode=require", "gssencmode: write gssencmode=disable"),
        _refused(f"{LOCAL}?connect_timeout=x", "connect_timeout, which is a whole number"),
        _refused(f"{LOCAL}?pgbouncer=maybe", "pgbouncer, which is true or false"),
        _refused("postgresql://app@db/app?sslmode=verify-ca", "verify-ca, which needs DATABASE_CA_FILE"),
        _refused("postgresql://app@db/app?sslmode=require&sslrootcert=system", "sslmode is verify-full"),
        _refused(f"{LOCAL}?sslrootcert=/no/ca.pem", "certificates of /no/ca.pem: No such file or directory"),
    ],
    "mysql": [
        _refused("postgresql://app@db/app", "starts with mysql:// or mariadb://, not postgresql://"),
        _refused("mysql://app:xy@zzy@db/app", ENCODE),
        _refused("mysql://app@db:xyzzy/app", PORT),
        _refused("mysql://app@db", "names no database"),
        _refused("mysql://app@a,b/app", "more than one host"),
        _refused("mysql://app@db/app?charset=latin1", "charset: leave it out"),
        _refused("mysql://app@db/app?ssl-mode=PREFERRED", "ssl-mode, which is DISABLED, REQUIRED"),
        _refused("mysql://app@db/app?ssl=/ca.pem", "ssl, which is true or false: write ssl-mode=REQUIRED"),
        _refused("mysql://app@db/app?useSSL=true", "useSSL: write ssl-mode=REQUIRED"),
        _refused("mysql://app@db/app?ssl-mode=VERIFY_CA", "verify-ca, which needs DATABASE_CA_FILE"),
        _refused("mysql://app@db/app?ssl_ca=/no/ca.pem", "certificates of /no/ca.pem: No such file or directory"),
    ],
    "mongodb": [
        _refused("mysql://app@db/app", "starts with mongodb:// or mongodb+srv://, not mysql://"),
        _refused("mongodb://app:xy@zzy@db/app", ENCODE),
        _refused("mongodb://app@db:xyzzy/app", PORT),
        _refused("mongodb://db/app?w=0", "w: no write would be confirmed"),
        _refused("mongodb://db/app?tls=true&ssl=false", "contradict each other"),
        _refused("mongodb://db/app?replicaset=a&readpreferense=primary", "readpreferense: write readPreference"),
        _refused("mongodb://db/app?readPreference=nearby", "cannot be used: "),
        _refused("mongodb+srv://db.example.com:27017/app", "cannot be used: "),
        _refused("mongodb://db/app?tlsCAFile=/no/ca.pem", "certificates of /no/ca.pem: No such file or directory"),
        _refused("mongodb://db/app?useUnifiedTopology=true", "useUnifiedTopology: leave it out"),
    ],
    "sqlite": [
        _refused("mysql://app@db/app", "starts with sqlite://, not mysql://"),
        _refused("sqlite://", "names no file: in memory each connection"),
        _refused("sqlite:///:memory:", "names no file: in memory each connection"),
        _refused("sqlite+aiosqlite:///:memory:", "names no file: in memory each connection"),
        _refused("sqlite:///app.db?mode=memory", "names no file: in memory each connection"),
        _refused("sqlite://app.db", "does not follow three slashes"),
        _refused("sqlite:///file:app.db", "does not follow three slashes"),
        _refused("sqlite:///app.db?cache=shared", "cache: leave it out"),
        _refused("sqlite:///app.db?timeout=5", "timeout: set STATEMENT_TIMEOUT_SECONDS"),
    ],
}
