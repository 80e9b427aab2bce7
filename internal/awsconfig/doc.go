// Package awsconfig makes the one AWS configuration that everything here works with: store, platform, names, deployment.
//
// It is the SDK's own LoadDefaultConfig, so that what holds for any AWS tool holds here: environment, shared files and
// profiles, single sign-on, container and instance credentials, AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE>,
// AWS_CA_BUNDLE, AWS_USE_FIPS_ENDPOINT and the rest. On top of it comes what a provider block says (Config), which wins.
// Nobody else calls LoadDefaultConfig.
package awsconfig
