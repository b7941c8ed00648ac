// Reads a list of policies from stdin, and writes for each what Google's CSP Evaluator says of it for
// browsers that know CSP Level 3: a list of findings, or null where it throws.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { CspEvaluator, STRICTCSP_CHECKS } = require('csp_evaluator/dist/evaluator.js');
const { CspParser } = require('csp_evaluator/dist/parser.js');
const { Version } = require('csp_evaluator/dist/csp.js');
const { Severity, Type } = require('csp_evaluator/dist/finding.js');
const { checkHasConfiguredReporting } = require('csp_evaluator/dist/checks/security_checks.js');

function evaluate(policy) {
  try {
    const evaluator = new CspEvaluator(new CspParser(policy).csp, Version.CSP3);
    const findings = evaluator.evaluate([...STRICTCSP_CHECKS, checkHasConfiguredReporting]);
    return findings.map(({ type, severity, directive, value }) => ({
      kind: Type[type],
      severity: Severity[severity],
      directive,
      value: value ?? null,
    }));
  } catch {
    return null;
  }
}

const policies = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(policies.map(evaluate)));
