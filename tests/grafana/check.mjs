// Reads dashboards of Grafana from stdin, a list of JSON, and writes for each the list of what is wrong with it by the
// types that Grafana publishes: fields that there are not, and values of another type.

import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

import ts from 'typescript';

// The types as JSON has them: enums by their values. Only panels and queries that are named here are known.
const TYPES = `
import type * as grafana from '@grafana/schema';
import type * as timeseries from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.d.ts';

type Plain<T> = T extends string ? \`\${T}\` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;

// @grafana/schema leaves out the data sources; this is what the one for Prometheus is asked.
interface Query {
  refId: string;
  datasource: { type: 'prometheus'; uid: string };
  expr: string;
  legendFormat: string;
  instant?: boolean;
  range?: boolean;
  format?: 'time_series' | 'table' | 'heatmap';
}

interface TimeSeries extends Omit<Plain<grafana.Panel>, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: 'timeseries';
  options: Plain<timeseries.Options>;
  fieldConfig: Omit<Plain<grafana.FieldConfigSource>, 'defaults'> & {
    defaults: Omit<Plain<grafana.FieldConfig>, 'custom'> & { custom?: Plain<timeseries.FieldConfig> };
  };
  targets: Query[];
}

interface Row extends Omit<Plain<grafana.RowPanel>, 'type' | 'panels'> {
  type: 'row';
  panels: TimeSeries[];
}

// What it keeps of a query for its own form, which the type has not.
type Variable = Plain<grafana.VariableModel> & { definition?: string };

export type Dashboard = Omit<Plain<grafana.Dashboard>, 'panels' | 'templating'> & {
  panels: (Row | TimeSeries)[];
  templating: { list: Variable[] };
};
`;

const folder = dirname(fileURLToPath(import.meta.url));
const dashboards = JSON.parse(readFileSync(0, 'utf8'));
const files = new Map([[`${folder}/dashboard.ts`, TYPES]]);
for (const [index, dashboard] of dashboards.entries()) {
  const text = JSON.stringify(dashboard, null, 2);
  files.set(`${folder}/${index}.ts`, `import type { Dashboard } from './dashboard';\nexport const it: Dashboard =\n${text};\n`);
}

const options = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  target: ts.ScriptTarget.ES2022,
  allowImportingTsExtensions: true,
  types: [],
};
const host = ts.createCompilerHost(options);
const { fileExists, readFile, getSourceFile } = host;
host.fileExists = (name) => files.has(name) || fileExists(name);
host.readFile = (name) => files.get(name) ?? readFile(name);
host.getSourceFile = (name, version, ...rest) =>
  files.has(name) ? ts.createSourceFile(name, files.get(name), version) : getSourceFile.call(host, name, version, ...rest);

const program = ts.createProgram([...files.keys()], options, host);
const wrong = dashboards.map(() => []);
for (const found of ts.getPreEmitDiagnostics(program)) {
  const text = ts.flattenDiagnosticMessageText(found.messageText, ' ');
  const index = Number(/\/(\d+)\.ts$/.exec(found.file?.fileName ?? '')?.[1] ?? -1);
  if (index < 0) throw new Error(`${found.file?.fileName}: ${text}`);
  // Two lines are before it, and the first one is 1.
  const line = found.file.getLineAndCharacterOfPosition(found.start).line - 1;
  wrong[index].push(`${line}: ${text}`);
}
process.stdout.write(JSON.stringify(wrong));
