// Package localaws is DynamoDB, S3 and a little of STS in memory, behind one port, for development
// and tests. What reaches it chooses the service: a header X-Amz-Target is DynamoDB, a form to /
// is STS, /_localstack/health is answered as LocalStack does, and everything else is S3 with the
// bucket in the path. Any endpoint that is compatible with LocalStack can stand in its place.
//
// Nothing is kept over the end of the process. Neither signatures, credentials nor clocks are
// checked, as in LocalStack: listen where only those reach it who may.
//
// # DynamoDB
//
// Tables with a partition key and an optional sort key; the item, batch and transaction calls, Scan
// and Query; and the calls that Pulumi's and Terraform's AWS providers make about a table (tags,
// time to live, continuous backups), which are kept and answered and have no effect.
//
// minidyn v0.8.0 (https://github.com/truora/minidyn) reads and evaluates expressions. What was
// observed of it, and is different here:
//
//   - Pages have no limit. Here they end at 1 MB of item data, at the size that AWS counts.
//   - Segment and TotalSegments are ignored. Here segments are ranges of the keys' hash.
//   - Items are scanned in the order of their keys, so that a client may seem right that relies on
//     it. Here, as in AWS, the order is that of a hash.
//   - A start key whose item was deleted answers an empty page. Here the page goes on after it.
//   - Each new key sorts all keys (150 µs at 20,000 items and growing), each page reads all before
//     it. Here neither depends on the size of the table.
//   - CreateTable, DeleteTable and DescribeTable take no lock.
//   - PutItem answers the new item whatever ReturnValues says; PutItem and DeleteItem ignore
//     ReturnValuesOnConditionCheckFailure; ScannedCount and ConsumedCapacity are missing.
//   - UpdateItem's REMOVE removes nothing. SET reads what the actions before it have set, stores
//     NULL for an absent attribute, and rounds every number of the item to float64.
//   - An undefined placeholder counts as an absent attribute, so that attribute_not_exists(#oops)
//     holds. What follows a complete condition is ignored. A comparison of two types, or
//     begins_with, contains and size of an absent attribute, are an error instead of false.
//   - Empty keys, items over 400 KB, wrong numbers and values of no type are stored; null for a
//     value and a function without arguments panic. Empty lists, maps and binaries are answered as {}.
//   - Errors of the protocol are plain text or InternalFailure; X-Amz-Crc32 and the request id are
//     missing; the descriptions of tables have neither status, ARN nor creation time.
//
// Not to be had, and refused with a ValidationException or UnknownOperationException: secondary
// indexes, streams, global tables, PartiQL, backups and exports, and the parameters that
// expressions have replaced (Expected, AttributeUpdates, KeyConditions and their kind). Different
// from AWS: arithmetic and comparisons of numbers have the 15 digits of a float64; UPDATED_OLD and
// UPDATED_NEW answer the whole of an attribute of which a part was updated; tables are ACTIVE at
// once; nothing is ever throttled; time to live deletes nothing; the texts of syntax errors are
// minidyn's.
//
// # S3
//
// gofakes3 v1.2.0 (https://github.com/johannesboyne/gofakes3) stores buckets and objects. What was
// observed of it, and is different here:
//
//   - Answers have no checksum, of which aws-sdk-go-v2 warns at each GetObject. Here all five of S3's
//     are verified, kept, and answered to x-amz-checksum-mode. A wrong one is a BadDigest.
//   - Of aws-chunked bodies it stores the framing as content, but for one signed form. The SDK sends
//     such bodies over TLS.
//   - Cache-Control, Content-Language and Expires are not kept.
//   - Replacing an object keeps what the new one does not set of the old one's header.
//   - Every X-Amz- header of who puts an object is answered to who gets it, session tokens too, and
//     counts against the limit of metadata.
//   - Every origin is allowed to do everything (CORS). Here none is.
//   - DeleteObject ignores If-Match.
//   - The configurations of a bucket and of an object are not looked at: PutPublicAccessBlock is a
//     CreateBucket, DeleteBucketLifecycle a DeleteBucket, PutObjectTagging replaces the object. Here
//     a bucket's are kept and answered and have no effect.
//   - A bucket made twice in us-east-1 is an error. In AWS it is none.
//
// Not to be had, and refused with NotImplemented: tags, ACLs, retention and other configurations of
// an object, and a bucket's analytics, inventory, metrics and intelligent tiering. Different from
// AWS: buckets are found in the path only, not in the host name; If-Match and If-Unmodified-Since of
// reads are ignored; with a delimiter, a common prefix may be listed on two pages; HeadObject of a
// version answers the latest; once versioning has been suspended, a bucket with deleted objects may
// fail; an upload in parts has the CRC32 of its whole.
package localaws
