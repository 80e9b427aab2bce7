// Package awstest is a stand-in for AWS' HTTP interfaces, for tests: EC2, Elastic Load Balancing v2, Route 53, IAM, Auto
// Scaling, STS and S3 (path style) at one address, told apart by the credential scope that a request is signed for.
// CloudWatch Logs is not in it: requests signed for it are answered UnknownService.
//
// It is strict where AWS is strict: unknown actions and parameters, missing ones, ids that are malformed or of another
// account, reused client tokens, wrong regions and unsigned requests are refused with the codes that AWS documents. It
// behaves as AWS documents where that hurts: instances are pending first and are listed late, lists come in pages, calls
// are throttled, capacity and quotas run out. Everything is asked for by the test: Options for what holds throughout,
// methods of Server, of Server.EC2 and so on for what happens.
//
// It is not AWS: signatures are looked at but not computed, policies are stored but not evaluated (Deny refuses an
// action), nothing costs anything. Nobody may rely on a habit of it that AWS does not document.
//
// Every state follows from the clock in Options: nothing sleeps. An ec2.Backing can make instances real; none is in here.
package awstest
