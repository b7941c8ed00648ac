// Reads a list of Kubernetes objects from stdin, and writes for each the list of what is wrong with it: by the
// validator of its kind, and fields that its kind does not have.

import { readFileSync } from 'node:fs';

const PACKAGES = [
  [/\.istio\.io$/, '@kubernetes-models/istio'],
  [/^gateway\.envoyproxy\.io$/, '@kubernetes-models/envoy-gateway'],
  [/^gateway\.networking\.k8s\.io$/, '@kubernetes-models/gateway-api'],
];

// What the API server keeps as it is: other programs read it, and other tests have them do so.
const FREE = [
  /^WasmPlugin\.spec\.pluginConfig$/,
  /^EnvoyFilter\.spec\.configPatches\.\d+\.patch\.value$/,
  /^EnvoyExtensionPolicy\.spec\.wasm\.\d+\.config$/,
  /^EnvoyPatchPolicy\.spec\.jsonPatches\.\d+\.operation\.value$/,
];

async function model({ apiVersion = '', kind }) {
  const [version, group] = apiVersion.split('/').reverse();
  const found = PACKAGES.find(([groups]) => groups.test(group ?? ''));
  const place = group ? `${group}/${version}` : version;
  const models = await import(`${found ? found[1] : 'kubernetes-models'}/${place}`);
  if (!models[kind]) throw new Error(`there is no ${kind} in ${apiVersion}`);
  return models[kind];
}

// A validator lets fields pass that its schema does not have. It does not look at them, either: so what
// it never asked for is unknown.
function watched(value, path, fields) {
  if (typeof value !== 'object' || value === null || FREE.some((free) => free.test(path))) return value;
  const inside = new Map();
  for (const [name, child] of Object.entries(value)) {
    const field = { path: `${path}.${name}`, asked: false };
    fields.push(field);
    inside.set(name, { field, child: watched(child, field.path, fields) });
  }
  return new Proxy(value, {
    get(target, name, receiver) {
      const known = inside.get(name);
      if (!known) return Reflect.get(target, name, receiver);
      known.field.asked = true;
      return known.child;
    },
  });
}

async function check(object) {
  try {
    const { prototype } = await model(object);
    const fields = [];
    prototype.validate.call(watched(object, object.kind, fields));
    const unknown = fields.filter(({ asked }) => !asked).map(({ path }) => `${path}: unknown field`);
    // Of what is in one that is unknown nothing needs to be said.
    return unknown.filter((one) => !unknown.some((other) => one.startsWith(`${other.split(':')[0]}.`)));
  } catch (error) {
    return [error.message];
  }
}

const objects = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(await Promise.all(objects.map(check))));
