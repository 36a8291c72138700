// Decides requests as IAM does, with @cloud-copilot/iam-simulate. One question a line, one answer a line:
//
//   {"identity": [policy, ...], "boundary": [policy, ...] or null,
//    "requests": [{"principal", "action", "resource", "context", "resourcePolicy" or null}, ...]}
//   ["Allowed" or "ImplicitlyDenied" or "ExplicitlyDenied", ...], or {"error": what is wrong with the question}
//
// It is strict: an action, a resource or a condition key that AWS does not know is an error.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const ACCOUNT = '123456789012'

const named = (policies) => policies.map((policy, number) => ({ name: `${number}`, policy }))

async function decide({ identity, boundary }, { principal, action, resource, context, resourcePolicy }) {
  const answer = await runSimulation(
    {
      request: { principal, action, resource: { resource, accountId: ACCOUNT }, contextVariables: context },
      identityPolicies: named(identity),
      permissionBoundaryPolicies: boundary ? named(boundary) : undefined,
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      resourcePolicy: resourcePolicy ?? undefined,
    },
    {},
  )
  if (answer.resultType !== 'single') throw new Error(`${action} on ${resource}: ${JSON.stringify(answer)}`)
  const ignored = answer.result.ignoredContextKeys ?? []
  if (ignored.length) throw new Error(`${action} on ${resource} has no condition key ${ignored}`)
  return answer.overallResult
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const question = JSON.parse(line)
    answer = []
    for (const request of question.requests) answer.push(await decide(question, request))
  } catch (error) {
    answer = { error: error.message }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
