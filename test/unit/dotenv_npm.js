// What dotenv_differential.py asks npm's dotenv: one text a line, in hexadecimal,
// "-" when empty.  Answers with a list for each of the packages named as arguments:
// its variables and values, in hexadecimal.
const packages = process.argv.slice(2).map((path) => require(path))
const hex = (text) => Buffer.from(text).toString('hex')

require('readline').createInterface({ input: process.stdin, terminal: false })
  .on('line', (line) => {
    const text = Buffer.from(line === '-' ? '' : line, 'hex').toString('utf8')
    const answers = packages.map((dotenv) =>
      Object.entries(dotenv.parse(text)).map((pair) => pair.map(hex)))
    process.stdout.write(JSON.stringify(answers) + '\n')
  })
