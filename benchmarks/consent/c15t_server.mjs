// @c15t/backend as its quickstart has it, on PostgreSQL by Kysely: what benchmarks/grants.py measures beside Volens.
import cluster from 'node:cluster';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const packages = createRequire(pathToFileURL(process.env.BENCH_PACKAGES + '/package.json'));
const load = (name) => import(pathToFileURL(packages.resolve(name)));
const { c15tInstance } = await load('@c15t/backend');
const { kyselyAdapter } = await load('@c15t/backend/db/adapters/kysely');
const { Kysely, PostgresDialect } = await load('kysely');
const { default: pg } = await load('pg');
const { serve } = await load('@hono/node-server');

const workers = Number(process.env.BENCH_WORKERS ?? 1);
const pool = new pg.Pool({ connectionString: process.env.BENCH_DATABASE, max: workers > 1 ? 8 : 20 });
const db = new Kysely({ dialect: new PostgresDialect({ pool }) });
const adapter = kyselyAdapter({ db, provider: 'postgresql' });
if (process.argv[2] === 'prepare') {
  const { migrator } = await load('@c15t/backend/db/migrator');
  const { DB } = await load('@c15t/backend/db/schema');
  const result = await migrator({ db: DB.client(adapter), schema: 'latest' });
  await result.execute();
  process.exit(0);
}
if (workers > 1 && cluster.isPrimary) {
  for (let n = 0; n < workers; n += 1) cluster.fork();
} else {
  const c15t = c15tInstance({ appName: 'bench', basePath: '/', trustedOrigins: ['http://127.0.0.1'], adapter, logger: { level: 'error' } });
  serve({ fetch: c15t.handler, port: Number(process.env.BENCH_PORT), hostname: '127.0.0.1' });
}
