// Evaluates requests as IAM does, with @cloud-copilot/iam-simulate. Reads one JSON question per line of stdin, and
// writes one JSON result per line to stdout:
//
//   {"identity": [policy, ...], "boundary": [policy, ...] or null,
//    "requests": [{"principal", "action", "resource", "context", "resourcePolicy" or null}, ...]}
//   ["Allowed" or "ImplicitlyDenied" or "ExplicitlyDenied", ...], or {"error": message}
//
// An action, resource type or condition key that AWS does not define is an error.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const ACCOUNT = '123456789012'

const nameAll = (policies) => policies.map((policy, number) => ({ name: `${number}`, policy }))

async function evaluate({ identity, boundary }, { principal, action, resource, context, resourcePolicy }) {
  const result = await runSimulation(
    {
      request: { principal, action, resource: { resource, accountId: ACCOUNT }, contextVariables: context },
      identityPolicies: nameAll(identity),
      permissionBoundaryPolicies: boundary ? nameAll(boundary) : undefined,
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      resourcePolicy: resourcePolicy ?? undefined,
    },
    {},
  )
  if (result.resultType !== 'single') throw new Error(`${action} on ${resource}: ${JSON.stringify(result)}`)
  const ignored = result.result.ignoredContextKeys ?? []
  if (ignored.length) throw new Error(`${action} on ${resource} does not support the condition key ${ignored}`)
  return result.overallResult
}

for await (const line of createInterface({ input: process.stdin })) {
  let results
  try {
    const question = JSON.parse(line)
    results = []
    for (const request of question.requests) results.push(await evaluate(question, request))
  } catch (error) {
    results = { error: error.message }
  }
  process.stdout.write(`${JSON.stringify(results)}\n`)
}
