// is_version.mjs OLDEST: succeeds when this Node is of that version or newer; otherwise says that it is not.
const numbers = (version) => version.split('.').map(Number);
const [oldest, mine] = [process.argv[2], process.versions.node].map(numbers);
if (mine[0] < oldest[0] || (mine[0] === oldest[0] && mine[1] < oldest[1])) {
  console.error(`node is older than ${process.argv[2]}`);
  process.exit(1);
}
