package aws

import (
	"context"
	"encoding/base64"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// Output is the end of the machine's console, where cloud-init writes what user data prints. EC2 keeps the last 64 KB; Nitro
// instances give it as it is now, others as of the last change of state
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html).
func (p *AWS) Output(ctx context.Context, id string, lines int) ([]string, error) {
	s, err := p.look(ctx, oneTick)
	if err != nil {
		return nil, err
	}
	if _, ours := s.host(id); !ours {
		return nil, nil
	}
	c, err := p.compute(ctx)
	if err != nil {
		return nil, err
	}
	in := &ec2.GetConsoleOutputInput{InstanceId: awssdk.String(id), Latest: awssdk.Bool(true)}
	out, err := c.GetConsoleOutput(ctx, in)
	if strings.HasPrefix(code(err), "Unsupported") || strings.HasPrefix(code(err), "InvalidParameter") {
		in.Latest = nil
		out, err = c.GetConsoleOutput(ctx, in)
	}
	if isUnknown(err) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(err, "reading the console of machine "+id)
	}
	text, err := base64.StdEncoding.DecodeString(awssdk.ToString(out.Output))
	if err != nil {
		return nil, explain(err, "reading the console of machine "+id)
	}
	return lastLines(string(text), lines), nil
}

// lastLines are the last n that say something.
func lastLines(text string, n int) []string {
	var all []string
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r", ""), "\n") {
		if strings.TrimSpace(line) != "" {
			all = append(all, line)
		}
	}
	return all[max(len(all)-n, 0):]
}
