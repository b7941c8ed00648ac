// The YAML language server, as editors start it: with --stdio.

import 'yaml-language-server/bin/yaml-language-server';
