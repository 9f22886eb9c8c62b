// Answers each line of {quote, collateral, time} with a line of {status} or {error}, by @phala/dcap-qvl.
const readline = require('readline');
const { verify } = require('@phala/dcap-qvl');

console.log = () => {};
const lines = readline.createInterface({ input: process.stdin, terminal: false });
const collaterals = new Map();
lines.on('line', (line) => {
  const { quote, collateral, time } = JSON.parse(line);
  const key = collateral.tcb_info_signature;
  if (!collaterals.has(key)) {
    const c = { ...collateral };
    for (const name of ['root_ca_crl', 'pck_crl', 'tcb_info_signature', 'qe_identity_signature']) c[name] = Buffer.from(c[name], 'hex');
    collaterals.set(key, c);
  }
  let answer;
  try {
    answer = { status: verify(Buffer.from(quote, 'base64'), collaterals.get(key), time).status };
  } catch (e) {
    answer = { error: String(e.message || e) };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
});
