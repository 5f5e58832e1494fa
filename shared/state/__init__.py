"""All we keep in Redis. Every transition that matters is one atomic Lua script in `lua/`.

`p` is a patient id: an opaque keyed hash. All scripts may be run twice with the same arguments (the Redis client
repeats a command whose answer was lost): the second run changes nothing.

Patients' words and addresses are encrypted (`shared.cipher`, ENCRYPTION_KEYS), marked § below; what the scripts look at
stands beside them (`shared.state.at_rest`). Nothing else holds a text, a name or a number.

| key | type | what | expiry |
|---|---|---|---|
| `seen:{message_id}` | string | this message was accepted | 8 days |
| `alias:{id}` | string | patient id of another name (number, user id) of the same person | 90 days |
| `address:{p}` | hash | number §, user_id § (kept only here); wrote_ms: the patient's last message | 90 days |
| `inbox:{p}` | list | accepted messages, `received_ms|json §`, oldest first | none: until answered |
| `waiting` | zset | p -> when to ring for a turn (ms) | - |
| `untold` | zset | p -> since when it waits for an answer (ms); not those who were told so | - |
| `notices_rung` | string | patients were told in this second that they wait | 1 s |
| `fresh` | zset | p -> when its oldest message not yet searched for danger came (ms) | - |
| `rate:{p}` | zset | message id -> time, sliding minute | 60 s |
| `delay:{p}` | string | a retry waits; new messages do not jump it | its length |
| `tries:{message_id}` | hash | own, partner: failures of the turn that this message heads | 2 days |
| `lease:{p}` | string | token of the drain that has this patient in hand | 10 s, renewed |
| `conversation:{p}` | string | § turns and flow (`shared.conversation`) | CONVERSATION_TTL; 24 h under a hand-off |
| `handoff:{p}` | string | an alarm or a person has this patient | 24 h |
| `handoffs` | zset | p -> when the hand-off ends by itself (ms) | - |
| `rung:{p}` | string | the sweep rang triage for this patient a moment ago | 5 s |
| `alarmed:{message_id}` | string | the fixed reply to this danger message is in the outbox | 8 days |
| `raised` | zset | alarm id -> when it was raised (ms), to list them | newest 8 days |
| `written:{p}` | list | § what a person wrote to this patient, newest 50 | 24 h |
| `optout:{p}` | string | no proactive messages, since when | none |
| `optouts` | zset | p -> since when (ms), to list them | none |
| `consent:{p}` | string | agreed to reminders in the chat: when, how | none |
| `outbox:{p}:{lane}` | list | replies not sent yet, `delivery_id|json §`; urgent, normal, reminder | none: until sent |
| `outgoing` | zset | `p:lane` -> when to ring for a delivery (ms) | - |
| `reminders` | zset | `p:reminder` -> when its first reminder is due (ms); rung at a pace | - |
| `reminded:{appointment}:{start}:{kind}` | string | delivery id and, if not ours, by whom | 30 days |
| `unconfirmed` | zset | delivery id of a reminder -> when it must have arrived (ms) | - |
| `contacted` | zset | p -> when we last wrote unasked (ms): Meta counts people in 24 h | a day |
| `meta_took` | string | when Meta last took a message (ms): sends of unknown end may be tried again | a day |
| `swept` | string | when a worker last swept (ms), noted each second | none |
| `redis_back` | string | when Redis was back, or a spool's portion came in (ms): unknown sends wait anew | 1 h |
| `throughput` | string | when the number's throughput is free again (ms) | 60 s |
| `reminder_pace` | string | when the next reminder may leave (ms) | 60 s |
| `sending_paused` | string | credentials or the template were refused: no reminder is sent | 15 min |
| `remind_again` | string | the agenda could not be read: the next follow-up tries | 1 h |
| `paced:{p}` | string | until when Meta's pair rate asks for silence (ms) | 6 s a message |
| `lease:{p}:{lane}` | string | token of the delivery in progress | 10 s, renewed |
| `delivery:{id}` | hash | kind, box, covers, state, by, since, attempts, resends, status, code, due … | 8 days |
| `sent:{hash of wamid}` | string | delivery id of a message at Meta, to read its statuses | 8 days |
| `answer:{message_id}` | list | § the reply for a waiting POST /chat | 2 min |
| `booking:{slot}` | string | a worker looks at this slot and books it (present backend) | 3 min |
| `calls` | hash | staff call list: id -> patient, kind, why, at, visit | none: until somebody did it |
| `audit` | stream | what became of each message and delivery (`shared.state.audit`) | AUDIT_DAYS |
| `dead` | list | messages and replies § given up, for replay | 90 days, newest 10,000 |
| `unreadable` | list | raw webhook bodies § that could not be read, for replay | 90 days, newest 100 |
| `worker:{name}` | string | what a worker says of itself | 15 s |
| `workers` | zset | worker name -> last heartbeat (ms) | names older than a day are dropped |
| `pulse` | hash | queue -> last pulse consumed (s); `rung:{queue}`: rung; `beat`: Beat's last sweep | none |
| `pulse_rung:{queue}` | string | a pulse was rung in this period | 10 s |
| `canary` | hash | what the last test messages found (`shared.canary`) | none |
| `report:{date}` | string | the day's report: composing (a lease), sending, sent, unknown | 10 min, then 40 days |
| `stats:{date}` | string | figures of a whole day (`workers.report.figures`) | 400 days |
| `alarm:{alarm_id}` | hash | patient, category, level, at, raised_ms, rung, acknowledged_ms, by | 8 days |
| `alarms` | zset | alarm id -> when the next rung of the ladder is told (ms); not those acknowledged | - |
| `incidents` | zset | kind of an open incident -> when it was last seen (ms) | - |
| `incident:{kind}` | hash | an open one: detail, count, opened_ms, last_ms, told_ms, works_ms … | until closed |
| `incident:{kind}:closed` | hash | the same, of the one that was closed last | 15 min |
| `suspected` | hash | kind -> since when the watch sees it (ms) | - |
| `watch` | string | a process has judged the system in this moment | 2.5 s |
| `ops_failed:{address}` | string | attempts to log in on the operators' page; the address is hashed | 60 s |
| `schema` | string | the shape of these keys, a number (`shared.state.schema`); `lease:schema`: who changes it | none |
| `encrypted` | string | a word under the keys of this store, to see whether ours fit | none |
| `metrics` | hash | all counters and histogram buckets | none |
"""
