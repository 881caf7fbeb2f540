// As ../programs/report.py: calls what a program shows, and prints as JSON what came of each operation.

export async function report(operations) {
  const outcomes = {};
  for (const [name, operation] of Object.entries(operations)) {
    try {
      outcomes[name] = { result: await operation() };
    } catch (error) {
      outcomes[name] = { error: String(error.stack ?? error) };
    }
  }
  console.log(JSON.stringify(outcomes));
}
